// Element-wise reductions in a fixed order.
#pragma once

#include <cstddef>
#include <span>

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

/// Reduces the operands (one a rank, in rank order, `count` elements each) into `out` by the tree
/// ((0+1)+(2+3))+... The operands are used as scratch; `out` may be one of them.
/// bf16 accumulates in fp32 and rounds once. @pre the dtype is not f16.
void reduce_in_order(Dtype dtype, ReduceOp op, std::span<std::byte* const> operands,
                     std::size_t count, std::byte* out);

}  // namespace concordat::comm
