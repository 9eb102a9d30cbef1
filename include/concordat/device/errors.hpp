// Error codes of `device`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::device::errors {

inline constexpr ErrorCode unknown_backend{"device.unknown_backend", Severity::process,
                                           ExitCode::usage};
inline constexpr ErrorCode no_avx2{"device.no_avx2", Severity::process, ExitCode::usage};
/// The kernel refuses the processors that threads are to be pinned to.
inline constexpr ErrorCode cannot_pin{"device.cannot_pin", Severity::process, ExitCode::usage};
/// train.device=cuda without a plug-in that this program can use.
inline constexpr ErrorCode no_cuda_plugin{"device.no_cuda_plugin", Severity::process,
                                          ExitCode::usage};
/// The plug-in is there, and no GPU that it can use.
inline constexpr ErrorCode no_gpu{"device.no_gpu", Severity::process, ExitCode::usage};
/// An op, a shape or a format that the back end does not have (yet).
inline constexpr ErrorCode not_on_this_device{"device.not_on_this_device", Severity::process,
                                              ExitCode::usage};
inline constexpr ErrorCode cuda_out_of_memory{"device.cuda_out_of_memory", Severity::process,
                                              ExitCode::internal};
inline constexpr ErrorCode cuda_failed{"device.cuda_failed", Severity::process, ExitCode::internal};
/// A call of NCCL's failed, or a communicator of its own accord.
inline constexpr ErrorCode nccl_failed{"device.nccl_failed", Severity::process, ExitCode::internal};
/// Several ranks on GPUs, and a plug-in without NCCL or with one that is too old.
inline constexpr ErrorCode no_nccl{"device.no_nccl", Severity::process, ExitCode::usage};
/// More ranks on a machine than it has visible GPUs.
inline constexpr ErrorCode gpu_shared{"device.gpu_shared", Severity::process, ExitCode::usage};
inline constexpr ErrorCode library_failed{"device.library_failed", Severity::process,
                                          ExitCode::internal};

}  // namespace concordat::device::errors
