#include "unit/comm/collectives_suite.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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

void check_float_sum(Communicator& comm, Desk& desk, std::int64_t count) {
  Tensor x = host_tensor(Dtype::f32, {count});
  for (std::int64_t i = 0; i < count; ++i) x.span<float>()[i] = awkward(comm.rank(), i);
  const Tensor there = desk.put(x);
  comm.all_reduce(there, ReduceOp::sum, desk.stream()).wait();
  x = desk.get(there);
  for (std::int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(x.span<float>()[i], tree_sum(comm.size(), i)) << "element " << i;
  }
}

template <typename T>
std::vector<T> reduced(Communicator& comm, Desk& desk, const std::vector<T>& values, ReduceOp op) {
  const Tensor x = host_tensor(dtype_of<T>, {std::ssize(values)});
  std::copy(values.begin(), values.end(), x.span<T>().begin());
  const Tensor there = desk.put(x);
  comm.all_reduce(there, op, desk.stream());
  const Tensor result = desk.get(there);
  return {result.span<T>().begin(), result.span<T>().end()};
}

template <typename T>
void check_integer_sum(Communicator& comm, Desk& desk) {
  const T big = std::numeric_limits<T>::max();
  const auto x = reduced<T>(comm, desk, {big, static_cast<T>(comm.rank()), 1}, ReduceOp::sum);
  using Wide = std::uint64_t;
  const Wide size = static_cast<Wide>(comm.size());
  EXPECT_EQ(x[0], static_cast<T>(static_cast<Wide>(big) * size)) << "wraps";
  EXPECT_EQ(x[1], static_cast<T>(size * (size - 1) / 2));
  EXPECT_EQ(x[2], static_cast<T>(size));
}

void check_bf16_sum_of_small_integers(Communicator& comm, Desk& desk) {
  // Exact in every order, whether they are rounded on the way or not.
  const int size = comm.size();
  const float mine = static_cast<float>(comm.rank() + 1);
  const auto x = reduced<Bf16>(comm, desk, {to_bf16(mine), to_bf16(-2.0F)}, ReduceOp::sum);
  EXPECT_EQ(to_float(x[0]), static_cast<float>(size * (size + 1) / 2));
  EXPECT_EQ(to_float(x[1]), static_cast<float>(-2 * size));
}

void check_bf16_sum_rounds_once(Communicator& comm, Desk& desk) {
  // 256 + 1 is 256 in bf16 at each step, but 256 + size - 1 is not when it is rounded once.
  const auto x =
      reduced<Bf16>(comm, desk, {to_bf16(comm.rank() == 0 ? 256.0F : 1.0F)}, ReduceOp::sum);
  const float exact = 256.0F + static_cast<float>(comm.size() - 1);
  EXPECT_EQ(to_float(x[0]), to_float(to_bf16(exact)));
}

void check_min_max(Communicator& comm, Desk& desk) {
  std::vector<double> low{static_cast<double>(comm.rank()), 5.0};
  std::vector<double> high = low;
  if (comm.rank() == comm.size() - 1 && desk.as_comm_says()) high[1] = std::nan("");
  low = reduced<double>(comm, desk, low, ReduceOp::min);
  high = reduced<double>(comm, desk, high, ReduceOp::max);
  EXPECT_EQ(low[0], 0.0);
  EXPECT_EQ(high[0], comm.size() - 1);
  if (desk.as_comm_says()) {
    EXPECT_TRUE(std::isnan(high[1])) << "a NaN anywhere is seen everywhere";
  }
}

void check_gather_scatter(Communicator& comm, Desk& desk) {
  const int size = comm.size();
  const Tensor in = host_tensor(Dtype::i32, {3});
  for (int i = 0; i < 3; ++i) in.span<std::int32_t>()[i] = 10 * comm.rank() + i;
  const Tensor there = desk.put(host_tensor(Dtype::i32, {size, 3}));
  comm.all_gather(there, desk.put(in), desk.stream()).wait();
  const Tensor out = desk.get(there);
  for (int r = 0; r < size; ++r) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out.span<std::int32_t>()[3 * r + i], 10 * r + i);
  }
  const Tensor mine = desk.put(host_tensor(Dtype::i32, {3}));
  comm.reduce_scatter(mine, there, ReduceOp::sum, desk.stream()).wait();
  const Tensor part = desk.get(mine);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(part.span<std::int32_t>()[i], size * (10 * comm.rank() + i));
  }
}

/// The halves of an all-reduce, over parts that are empty, long and short.
void check_parts(Communicator& comm, Desk& desk) {
  const int size = comm.size();
  std::vector<std::int64_t> bounds{0};
  for (int r = 0; r < size; ++r) bounds.push_back(bounds.back() + (r % 3 == 1 ? 0 : 5 + 2 * r));
  Tensor x = host_tensor(Dtype::f32, {bounds.back()});
  const auto mine = [&](std::int64_t i) {
    const auto r = static_cast<std::size_t>(comm.rank());
    return bounds[r] <= i && i < bounds[r + 1];
  };
  for (std::int64_t i = 0; i < x.size(); ++i) x.span<float>()[i] = awkward(comm.rank(), i);
  const Tensor there = desk.put(x);
  comm.reduce_parts(there, bounds, ReduceOp::sum, desk.stream()).wait();
  x = desk.get(there);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x.span<float>()[i], mine(i) ? tree_sum(size, i) : awkward(comm.rank(), i)) << i;
  }
  comm.gather_parts(there, bounds, desk.stream()).wait();
  x = desk.get(there);
  for (std::int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(x.span<float>()[i], tree_sum(size, i)) << i;
  EXPECT_EQ(even_bounds(7, 3), (std::vector<std::int64_t>{0, 3, 5, 7}));
  EXPECT_THROW(comm.gather_parts(there, {0}, desk.stream()), Bug);
}

void check_broadcast(Communicator& comm, Desk& desk) {
  for (int root = 0; root < comm.size(); ++root) {
    Tensor x = host_tensor(Dtype::u16, {5});
    if (comm.rank() == root) {
      for (auto& value : x.span<std::uint16_t>()) value = static_cast<std::uint16_t>(root + 1);
    }
    const Tensor there = desk.put(x);
    comm.broadcast(there, root, desk.stream()).wait();
    x = desk.get(there);
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

Tensor numbered(std::int64_t value) {
  const Tensor x = host_tensor(Dtype::i64, {4});
  for (auto& each : x.span<std::int64_t>()) each = value;
  return x;
}

void check_messages(Communicator& comm, Desk& desk) {
  if (comm.size() == 1) return;
  comm.open_channels({{7, 1}, {8, 1}});
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  // All send before any receives, overwrite what they sent, and rely on the order per tag.
  const Tensor there = desk.put(numbered(0));
  const auto overwrite = [&](std::int64_t value) {
    const Tensor values = desk.put(numbered(value));
    desk.copy(there, values);
  };
  for (int i = 0; i < 3; ++i) {
    overwrite(100 * comm.rank() + i);
    comm.send(there, next, /*tag=*/7, desk.stream());
  }
  overwrite(-1 - comm.rank());
  comm.send(there, next, /*tag=*/8, desk.stream());
  overwrite(-100);
  comm.recv(there, previous, 8, desk.stream());
  EXPECT_EQ(desk.get(there).span<std::int64_t>()[3], -1 - previous);
  for (int i = 0; i < 3; ++i) {
    comm.recv(there, previous, 7, desk.stream());
    EXPECT_EQ(desk.get(there).span<std::int64_t>()[0], 100 * previous + i);
  }
}

}  // namespace

void check_all_collectives_on(Communicator& comm, Desk& desk) {
  for (std::int64_t count : {1, 5, 1000}) check_float_sum(comm, desk, count);
  check_integer_sum<std::uint8_t>(comm, desk);
  if (desk.as_comm_says()) check_integer_sum<std::uint16_t>(comm, desk);
  check_integer_sum<std::uint32_t>(comm, desk);
  check_integer_sum<std::int32_t>(comm, desk);
  check_integer_sum<std::int64_t>(comm, desk);
  check_bf16_sum_of_small_integers(comm, desk);
  if (desk.as_comm_says()) check_bf16_sum_rounds_once(comm, desk);
  check_min_max(comm, desk);
  check_gather_scatter(comm, desk);
  check_parts(comm, desk);
  check_broadcast(comm, desk);
  check_bytes(comm);
  check_messages(comm, desk);
  std::vector<std::int64_t> host{comm.rank()};
  all_reduce_host<std::int64_t>(comm, host, ReduceOp::max);  // the host's tensors are the host's
  EXPECT_EQ(host[0], comm.size() - 1);
  comm.barrier();
}

}  // namespace concordat::comm
