// The collectives on plain bytes. Each blocks its caller (a stream or the host) in wait_all only.
#pragma once

#include "comm/group_communicator.hpp"

namespace concordat::comm {

struct Elements {
  std::byte* data = nullptr;
  std::size_t count = 0;
  Dtype dtype = Dtype::f32;
  ByteSpan bytes(std::size_t begin, std::size_t length) const;
  ByteSpan bytes() const { return bytes(0, count); }
};

void run_all_reduce(const Group& group, int tag, Elements inout, ReduceOp op);
void run_reduce_scatter(const Group& group, int tag, Elements out, Elements in, ReduceOp op);
/// Rank r has the elements [bounds[r], bounds[r+1]).
using Bounds = std::vector<std::int64_t>;
void run_reduce_parts(const Group& group, int tag, Elements inout, const Bounds& bounds,
                      ReduceOp op);
void run_gather_parts(const Group& group, int tag, Elements inout, const Bounds& bounds);
void run_all_gather(const Group& group, int tag, Elements out, Elements in);
/// Down a binomial tree.
void run_broadcast(const Group& group, int tag, ByteSpan bytes, int root);
void run_barrier(const Group& group, int tag);
/// Entry r of `outgoing` to rank r; nullptr sends nothing. Only ranks of `from` are received.
std::vector<Bytes> run_exchange(const Group& group, int tag,
                                const std::vector<const ByteView*>& outgoing,
                                const std::vector<bool>& from);

}  // namespace concordat::comm
