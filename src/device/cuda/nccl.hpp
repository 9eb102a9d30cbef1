// What the back end needs of NCCL: nccl_communicator.cpp, or no_nccl.cpp in a build without it.
#pragma once

#include <memory>

#include "concordat/comm/communicator.hpp"
#include "device/cuda/device.hpp"

namespace concordat::device::cuda {

/// As Backend::communicator. Collective over `host`.
std::unique_ptr<comm::Communicator> make_communicator(const std::shared_ptr<Device>& device,
                                                      comm::Communicator& host);

/// Whether the tensor collectives of `ranks` reach the memory of a GPU.
bool reaches_gpus(const comm::Communicator& ranks);

}  // namespace concordat::device::cuda
