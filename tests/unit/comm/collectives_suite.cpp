#include "unit/comm/collectives_suite.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace concordat::comm {

namespace {

/// A value whose float sums depend on the order of addition.
float awkward(int rank, std::int64_t i) {
  return std::ldexp(1.0F + static_cast<float>(i % 7), (rank * 11 + static_cast<int>(i)) % 29 - 14);
}

/// The documented order: a binary tree over neighbours.
float tree_sum(int size, std::int64_t i) {
  std::vector<float> level;
  for (int r = 0; r < size; ++r) level.push_back(awkward(r, i));
  while (level.size() > 1) {
    std::vector<float> next;
    for (std::size_t k = 0; k < level.size(); k += 2) {
      next.push_back(k + 1 < level.size() ? level[k] + level[k + 1] : level[k]);
    }
    level = next;
  }
  return level[0];
}

void check_float_sum(Communicator& comm, std::int64_t count) {
  InlineStream stream;
  Tensor x = host_tensor(Dtype::f32, {count});
  for (std::int64_t i = 0; i < count; ++i) x.span<float>()[i] = awkward(comm.rank(), i);
  comm.all_reduce(x, ReduceOp::sum, stream).wait();
  for (std::int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(x.span<float>()[i], tree_sum(comm.size(), i)) << "element " << i;
  }
}

template <typename T>
void check_integer_sum(Communicator& comm) {
  const T big = std::numeric_limits<T>::max();
  std::vector<T> x{big, static_cast<T>(comm.rank()), 1};
  all_reduce_host<T>(comm, x, ReduceOp::sum);
  using Wide = std::uint64_t;
  const Wide size = static_cast<Wide>(comm.size());
  EXPECT_EQ(x[0], static_cast<T>(static_cast<Wide>(big) * size)) << "wraps";
  EXPECT_EQ(x[1], static_cast<T>(size * (size - 1) / 2));
  EXPECT_EQ(x[2], static_cast<T>(size));
}

void check_bf16_sum_rounds_once(Communicator& comm) {
  // 256 + 1 is 256 in bf16 at each step, but 256 + size - 1 is not when it is rounded once.
  InlineStream stream;
  Tensor x = host_tensor(Dtype::bf16, {1});
  x.span<Bf16>()[0] = to_bf16(comm.rank() == 0 ? 256.0F : 1.0F);
  comm.all_reduce(x, ReduceOp::sum, stream).wait();
  const float exact = 256.0F + static_cast<float>(comm.size() - 1);
  EXPECT_EQ(to_float(x.span<Bf16>()[0]), to_float(to_bf16(exact)));
}

void check_min_max(Communicator& comm) {
  std::vector<double> low{static_cast<double>(comm.rank()), 5.0};
  std::vector<double> high = low;
  if (comm.rank() == comm.size() - 1) high[1] = std::nan("");
  all_reduce_host<double>(comm, low, ReduceOp::min);
  all_reduce_host<double>(comm, high, ReduceOp::max);
  EXPECT_EQ(low[0], 0.0);
  EXPECT_EQ(high[0], comm.size() - 1);
  EXPECT_TRUE(std::isnan(high[1])) << "a NaN anywhere is seen everywhere";
}

void check_gather_scatter(Communicator& comm) {
  InlineStream stream;
  const int size = comm.size();
  Tensor in = host_tensor(Dtype::i32, {3});
  for (int i = 0; i < 3; ++i) in.span<std::int32_t>()[i] = 10 * comm.rank() + i;
  Tensor out = host_tensor(Dtype::i32, {size, 3});
  comm.all_gather(out, in, stream).wait();
  for (int r = 0; r < size; ++r) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out.span<std::int32_t>()[3 * r + i], 10 * r + i);
  }
  Tensor part = host_tensor(Dtype::i32, {3});
  comm.reduce_scatter(part, out, ReduceOp::sum, stream).wait();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(part.span<std::int32_t>()[i], size * (10 * comm.rank() + i));
  }
}

/// The halves of an all-reduce, over parts that are empty, long and short.
void check_parts(Communicator& comm) {
  InlineStream stream;
  const int size = comm.size();
  std::vector<std::int64_t> bounds{0};
  for (int r = 0; r < size; ++r) bounds.push_back(bounds.back() + (r % 3 == 1 ? 0 : 5 + 2 * r));
  Tensor x = host_tensor(Dtype::f32, {bounds.back()});
  const auto mine = [&](std::int64_t i) {
    const auto r = static_cast<std::size_t>(comm.rank());
    return bounds[r] <= i && i < bounds[r + 1];
  };
  for (std::int64_t i = 0; i < x.size(); ++i) x.span<float>()[i] = awkward(comm.rank(), i);
  comm.reduce_parts(x, bounds, ReduceOp::sum, stream).wait();
  for (std::int64_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x.span<float>()[i], mine(i) ? tree_sum(size, i) : awkward(comm.rank(), i)) << i;
  }
  comm.gather_parts(x, bounds, stream).wait();
  for (std::int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(x.span<float>()[i], tree_sum(size, i)) << i;
  EXPECT_EQ(even_bounds(7, 3), (std::vector<std::int64_t>{0, 3, 5, 7}));
  EXPECT_THROW(comm.gather_parts(x, {0}, stream), Bug);
}

void check_broadcast(Communicator& comm) {
  InlineStream stream;
  for (int root = 0; root < comm.size(); ++root) {
    Tensor x = host_tensor(Dtype::u16, {5});
    if (comm.rank() == root) {
      for (auto& value : x.span<std::uint16_t>()) value = static_cast<std::uint16_t>(root + 1);
    }
    comm.broadcast(x, root, stream).wait();
    for (auto value : x.span<std::uint16_t>()) EXPECT_EQ(value, root + 1);
    Bytes bytes;
    if (comm.rank() == root) bytes.assign(static_cast<std::size_t>(root) * 7, 9);
    comm.broadcast_bytes(bytes, root);
    EXPECT_EQ(bytes, Bytes(static_cast<std::size_t>(root) * 7, 9));
  }
}

void check_bytes(Communicator& comm) {
  const auto size = static_cast<std::size_t>(comm.size());
  const auto me = static_cast<std::size_t>(comm.rank());
  const Bytes mine(me * 3, static_cast<std::uint8_t>(me));
  const auto all = comm.all_gather_bytes(mine);
  const auto root_only = comm.gather_bytes(mine, comm.size() - 1);
  ASSERT_EQ(all.size(), size);
  EXPECT_EQ(root_only.size(), me == size - 1 ? size : 0);
  for (std::size_t r = 0; r < size; ++r) {
    EXPECT_EQ(all[r], Bytes(r * 3, static_cast<std::uint8_t>(r)));
    if (!root_only.empty()) {
      EXPECT_EQ(root_only[r], all[r]);
    }
  }
  std::vector<Bytes> outgoing;
  for (std::size_t r = 0; r < size; ++r) {
    outgoing.emplace_back(r + me, static_cast<std::uint8_t>(16 * me + r));
  }
  const auto incoming = comm.all_to_all_bytes(std::move(outgoing));
  for (std::size_t r = 0; r < size; ++r) {
    EXPECT_EQ(incoming[r], Bytes(r + me, static_cast<std::uint8_t>(16 * r + me)));
  }
}

void check_messages(Communicator& comm) {
  if (comm.size() == 1) return;
  InlineStream stream;
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  Tensor x = host_tensor(Dtype::i64, {4});
  // All send before any receives, overwrite what they sent, and rely on the order per tag.
  for (int i = 0; i < 3; ++i) {
    for (auto& value : x.span<std::int64_t>()) value = 100 * comm.rank() + i;
    comm.send(x, next, /*tag=*/7, stream);
  }
  for (auto& value : x.span<std::int64_t>()) value = -1;
  comm.send(x, next, /*tag=*/8, stream);
  comm.recv(x, previous, 8, stream);
  EXPECT_EQ(x.span<std::int64_t>()[3], -1);
  for (int i = 0; i < 3; ++i) {
    comm.recv(x, previous, 7, stream);
    EXPECT_EQ(x.span<std::int64_t>()[0], 100 * previous + i);
  }
}

}  // namespace

void check_all_collectives(Communicator& comm) {
  for (std::int64_t count : {1, 5, 1000}) check_float_sum(comm, count);
  check_integer_sum<std::uint8_t>(comm);
  check_integer_sum<std::uint16_t>(comm);
  check_integer_sum<std::uint32_t>(comm);
  check_integer_sum<std::int32_t>(comm);
  check_integer_sum<std::int64_t>(comm);
  check_bf16_sum_rounds_once(comm);
  check_min_max(comm);
  check_gather_scatter(comm);
  check_parts(comm);
  check_broadcast(comm);
  check_bytes(comm);
  check_messages(comm);
  comm.barrier();
}

}  // namespace concordat::comm
