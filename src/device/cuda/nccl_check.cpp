#include "device/cuda/nccl_check.hpp"

#include <string>

#include "concordat/device/errors.hpp"
#include "device/cuda/check.hpp"

namespace concordat::device::cuda {
namespace {

// Non-blocking communicators with finalisation, and bf16 sums that are not converted on the way.
constexpr int oldest = NCCL_VERSION(2, 18, 0);

std::string text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100) + "." +
         std::to_string(version % 100);
}

std::string remedy(ncclResult_t result) {
  switch (result) {
    case ncclInvalidUsage:
      return "look whether two ranks share a GPU, or ranks run different versions; NCCL_DEBUG=WARN "
             "says more";
    case ncclSystemError:
    case ncclRemoteError:
      return "look at the network and at the other ranks; NCCL_DEBUG=WARN says more; start again "
             "from the newest generation";
    default:
      return "start again from the newest generation; NCCL_DEBUG=WARN says more";
  }
}

}  // namespace

void check(ncclResult_t result, const char* call, const char* file, int line) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const char* more = ncclGetLastError(nullptr);
  throw Error(errors::nccl_failed,
              {.what = "an NCCL call failed",
               .where = place_of(call, file, line),
               .found = std::string(ncclGetErrorString(result)) + " (" +
                        std::to_string(static_cast<int>(result)) + ")" +
                        (more == nullptr || *more == '\0' ? "" : std::string(": ") + more),
               .expected = "ncclSuccess",
               .remedy = remedy(result)});
}

int require_nccl() {
  int version = 0;
  check(ncclGetVersion(&version), "ncclGetVersion");
  if (version >= oldest) return version;
  throw Error(errors::no_nccl, {.what = "NCCL is too old",
                                .where = "train.device=cuda",
                                .found = "NCCL " + text(version),
                                .expected = "NCCL " + text(oldest) + " or newer",
                                .remedy = "load a newer NCCL, start one rank, or set "
                                          "train.device=cpu"});
}

}  // namespace concordat::device::cuda
