#include "comm/collectives.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "comm/reduce.hpp"

namespace concordat::comm {

namespace {

/// Scratch of a reduction, over all operands; longer vectors go in pieces.
constexpr std::size_t scratch_bytes = std::size_t{32} << 20U;

std::size_t piece_elements(const Group& group, Dtype dtype) {
  const std::size_t per_operand = scratch_bytes / static_cast<std::size_t>(group.size());
  return std::max<std::size_t>(1, per_operand / size_of(dtype));
}

/// Scratch of one call.
class Scratch {
 public:
  Scratch(Transport& transport, std::size_t bytes)
      : transport_(transport), bytes_(transport.take_scratch(bytes)) {}
  ~Scratch() { transport_.give_back(std::move(bytes_)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::uint8_t* data() { return bytes_.data(); }

 private:
  Transport& transport_;
  Bytes bytes_;
};

/// Receives everybody's operand of [mine], sends mine of the others' parts, and reduces.
/// part(r) is what rank r reduces, in the input.
template <typename PartOf>
void exchange_and_reduce(const Group& group, int tag, Elements input, PartOf part_of,
                         std::byte* out, ReduceOp op) {
  const auto size = static_cast<std::size_t>(group.size());
  const auto me = static_cast<std::size_t>(group.rank);
  const auto [my_begin, my_count] = part_of(me);
  const std::size_t operand_bytes = my_count * size_of(input.dtype);
  Scratch scratch(*group.transport, operand_bytes * (size - 1));  // outlives the transfers into it
  std::vector<std::byte*> operands(size);
  Transfers transfers;
  for (std::size_t r = 0; r < size; ++r) {
    if (r == me) continue;
    const std::size_t index = r < me ? r : r - 1;
    ByteSpan slot(scratch.data() + index * operand_bytes, operand_bytes);
    operands[r] = reinterpret_cast<std::byte*>(slot.data());
    post_receive(*group.transport, transfers, group.job_rank(static_cast<int>(r)), tag, slot);
  }
  for (std::size_t hop = 1; hop < size; ++hop) {
    const std::size_t to = (me + hop) % size;
    const auto [begin, count] = part_of(to);
    post_send(*group.transport, transfers, group.job_rank(static_cast<int>(to)), tag,
              input.bytes(begin, count));
  }
  // Our own operand is where the result will be: nobody is sent it.
  operands[me] = out;
  auto own = input.bytes(my_begin, my_count);
  if (!own.empty() && own.data() != reinterpret_cast<std::uint8_t*>(out)) {
    std::memcpy(out, own.data(), own.size());
  }
  wait_all(*group.transport, transfers);
  reduce_in_order(input.dtype, op, operands, my_count, out);
}

}  // namespace

ByteSpan Elements::bytes(std::size_t begin, std::size_t length) const {
  const std::size_t width = size_of(dtype);
  return {reinterpret_cast<std::uint8_t*>(data) + begin * width, length * width};
}

void run_all_reduce(const Group& group, int tag, Elements inout, ReduceOp op) {
  const auto size = static_cast<std::size_t>(group.size());
  if (size == 1) return;
  const std::size_t piece = piece_elements(group, inout.dtype) * size;
  for (std::size_t at = 0; at < inout.count; at += piece) {
    const std::size_t count = std::min(piece, inout.count - at);
    auto part_of = [&](std::size_t r) {
      const std::size_t begin = count * r / size;
      return std::pair(at + begin, count * (r + 1) / size - begin);
    };
    const auto [my_begin, my_count] = part_of(static_cast<std::size_t>(group.rank));
    auto mine = inout.bytes(my_begin, my_count);
    exchange_and_reduce(group, tag, inout, part_of, reinterpret_cast<std::byte*>(mine.data()), op);
    Transfers transfers;
    for (std::size_t r = 0; r < size; ++r) {
      if (static_cast<int>(r) == group.rank) continue;
      const auto [begin, length] = part_of(r);
      post_receive(*group.transport, transfers, group.job_rank(static_cast<int>(r)), tag,
                   inout.bytes(begin, length));
    }
    for (std::size_t r = 0; r < size; ++r) {
      if (static_cast<int>(r) == group.rank) continue;
      post_send(*group.transport, transfers, group.job_rank(static_cast<int>(r)), tag, mine);
    }
    wait_all(*group.transport, transfers);
  }
}

void run_reduce_scatter(const Group& group, int tag, Elements out, Elements in, ReduceOp op) {
  const std::size_t piece = piece_elements(group, in.dtype);
  for (std::size_t at = 0; at < out.count; at += piece) {
    const std::size_t count = std::min(piece, out.count - at);
    auto part_of = [&](std::size_t r) { return std::pair(r * out.count + at, count); };
    auto target = out.bytes(at, count);
    exchange_and_reduce(group, tag, in, part_of, reinterpret_cast<std::byte*>(target.data()), op);
  }
}

void run_reduce_parts(const Group& group, int tag, Elements inout, const Bounds& bounds,
                      ReduceOp op) {
  if (group.size() == 1) return;
  const auto at = [&](std::size_t r) { return static_cast<std::size_t>(bounds[r]); };
  std::size_t longest = 0;
  for (std::size_t r = 0; r + 1 < bounds.size(); ++r)
    longest = std::max(longest, at(r + 1) - at(r));
  const std::size_t piece = piece_elements(group, inout.dtype);
  for (std::size_t done = 0; done < longest; done += piece) {
    const auto part_of = [&](std::size_t r) {
      const std::size_t begin = std::min(at(r) + done, at(r + 1));
      return std::pair(begin, std::min(begin + piece, at(r + 1)) - begin);
    };
    const auto [begin, count] = part_of(static_cast<std::size_t>(group.rank));
    auto mine = inout.bytes(begin, count);
    exchange_and_reduce(group, tag, inout, part_of, reinterpret_cast<std::byte*>(mine.data()), op);
  }
}

void run_gather_parts(const Group& group, int tag, Elements inout, const Bounds& bounds) {
  const auto part = [&](int r) {
    const auto i = static_cast<std::size_t>(r);
    const auto begin = static_cast<std::size_t>(bounds[i]);
    return inout.bytes(begin, static_cast<std::size_t>(bounds[i + 1]) - begin);
  };
  Transfers transfers;
  for (int r = 0; r < group.size(); ++r) {
    if (r != group.rank) {
      post_receive(*group.transport, transfers, group.job_rank(r), tag, part(r));
    }
  }
  for (int hop = 1; hop < group.size(); ++hop) {
    const int to = (group.rank + hop) % group.size();
    post_send(*group.transport, transfers, group.job_rank(to), tag, part(group.rank));
  }
  wait_all(*group.transport, transfers);
}

void run_all_gather(const Group& group, int tag, Elements out, Elements in) {
  Transfers transfers;
  for (int r = 0; r < group.size(); ++r) {
    const auto begin = static_cast<std::size_t>(r) * in.count;
    if (r == group.rank) {
      // `in` may be this very part of `out`.
      if (in.count > 0) {
        std::memmove(out.bytes(begin, in.count).data(), in.data, in.bytes().size());
      }
    } else {
      post_receive(*group.transport, transfers, group.job_rank(r), tag, out.bytes(begin, in.count));
    }
  }
  for (int hop = 1; hop < group.size(); ++hop) {
    const int to = (group.rank + hop) % group.size();
    post_send(*group.transport, transfers, group.job_rank(to), tag, in.bytes());
  }
  wait_all(*group.transport, transfers);
}

void run_broadcast(const Group& group, int tag, ByteSpan bytes, int root) {
  const int size = group.size();
  const int relative = (group.rank - root + size) % size;  // the root is 0 of the tree
  auto absolute = [&](int r) { return group.job_rank((r + root) % size); };
  Transfers transfers;
  int mask = 1;
  for (; mask < size; mask *= 2) {
    if ((relative & mask) != 0) {
      post_receive(*group.transport, transfers, absolute(relative - mask), tag, bytes);
      wait_all(*group.transport, transfers);
      break;
    }
  }
  for (mask /= 2; mask > 0; mask /= 2) {
    if (relative + mask < size) {
      post_send(*group.transport, transfers, absolute(relative + mask), tag, bytes);
    }
  }
  wait_all(*group.transport, transfers);
}

void run_barrier(const Group& group, int tag) {
  const int size = group.size();
  for (int hop = 1; hop < size; hop *= 2) {
    std::uint8_t out = 1;
    std::uint8_t in = 0;
    Transfers transfers;
    post_receive(*group.transport, transfers, group.job_rank((group.rank - hop + size) % size), tag,
                 {&in, 1});
    post_send(*group.transport, transfers, group.job_rank((group.rank + hop) % size), tag,
              {&out, 1});
    wait_all(*group.transport, transfers);
  }
}

std::vector<Bytes> run_exchange(const Group& group, int tag,
                                const std::vector<const ByteView*>& outgoing,
                                const std::vector<bool>& from) {
  const auto size = static_cast<std::size_t>(group.size());
  const auto me = static_cast<std::size_t>(group.rank);
  auto peer = [&](std::size_t r) { return group.job_rank(static_cast<int>(r)); };
  using Length = std::array<std::uint8_t, 8>;
  std::vector<Length> lengths_in(size);
  std::vector<Length> lengths_out(size);
  std::vector<Bytes> incoming(size);  // before the transfers, which it must outlive
  // Lengths are waited for alone: the receives of the contents must be posted while our own sends
  // may still be under way, since a peer may need ours to finish its.
  Transfers lengths;
  Transfers transfers;
  for (std::size_t r = 0; r < size; ++r) {
    if (r != me && from[r]) post_receive(*group.transport, lengths, peer(r), tag, lengths_in[r]);
  }
  for (std::size_t r = 0; r < size; ++r) {
    if (r == me || outgoing[r] == nullptr) continue;
    for (std::size_t i = 0; i < 8; ++i) {
      lengths_out[r][i] = static_cast<std::uint8_t>(outgoing[r]->size() >> (8 * i));
    }
    post_send(*group.transport, transfers, peer(r), tag, lengths_out[r]);
    post_send(*group.transport, transfers, peer(r), tag, *outgoing[r]);
  }
  wait_all(*group.transport, lengths);
  for (std::size_t r = 0; r < size; ++r) {
    if (r == me) {
      if (outgoing[r] != nullptr) incoming[r].assign(outgoing[r]->begin(), outgoing[r]->end());
    } else if (from[r]) {
      std::uint64_t length = 0;
      for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{lengths_in[r][i]} << (8 * i);
      incoming[r].resize(length);
      post_receive(*group.transport, transfers, peer(r), tag, incoming[r]);
    }
  }
  wait_all(*group.transport, transfers);
  return incoming;
}

}  // namespace concordat::comm
