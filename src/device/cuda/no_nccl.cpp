// A plug-in that was built without NCCL serves one rank.
#include "concordat/device/errors.hpp"
#include "device/cuda/nccl.hpp"

namespace concordat::device::cuda {

std::unique_ptr<comm::Communicator> make_communicator(const std::shared_ptr<Device>&,
                                                      comm::Communicator& host) {
  if (host.size() == 1) return nullptr;
  throw Error(errors::no_nccl, {.what = "the CUDA plug-in was built without NCCL",
                                .where = "train.device=cuda",
                                .found = std::to_string(host.size()) + " ranks",
                                .expected = "1",
                                .remedy = "build it where cmake finds NCCL (NCCL_ROOT), start one "
                                          "rank, or set train.device=cpu"});
}

bool reaches_gpus(const comm::Communicator& ranks) { return ranks.size() == 1; }

}  // namespace concordat::device::cuda
