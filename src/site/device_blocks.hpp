// DeviceBlocks: one block's operands in a back end's memory, for making the update into masked
// codes there (ranks_upload.cpp). Allocated once and used for one block after the other.
#pragma once

#include "concordat/device/ops/quantise.hpp"

namespace concordat::site {

struct DeviceBlocks {
  /// Room for blocks of `elements`.
  DeviceBlocks(device::Exec& exec, std::int64_t elements, exact::Lane lane);
  device::Exec& exec;
  Tensor base, theta, error;  ///< f32
  Tensor words;               ///< u32
  Tensor lanes;               ///< masks that become masked codes
  Tensor not_finite;
};

}  // namespace concordat::site
