// Every NCCL call goes through check(): a failure becomes an Error that names the call, the result
// and NCCL's own words.
#pragma once

#include <nccl.h>

namespace concordat::device::cuda {

/// Non-blocking communicators are asked whether they came to an end (NcclHub): not yet is no
/// failure.
/// @throws Error(device.nccl_failed)
void check(ncclResult_t result, const char* call, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());

/// The NCCL that runs, as 23203 for 2.32.3. @throws Error(device.no_nccl) if it is older than 2.18.
int require_nccl();

}  // namespace concordat::device::cuda
