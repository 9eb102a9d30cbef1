#include "comm/group_communicator.hpp"

#include <algorithm>
#include <numeric>

#include "comm/collectives.hpp"

namespace concordat::comm {

namespace {

Elements elements(const Tensor& tensor) {
  return {tensor.raw_bytes(), static_cast<std::size_t>(tensor.size()), tensor.dtype()};
}

void require_contiguous(const Tensor& tensor) {
  CONCORDAT_REQUIRE(!tensor.empty() && tensor.contiguous(), to_string(tensor.shape()));
}

}  // namespace

int Group::collective_tag(int sequence) const {
  const auto tags = transport->tags();
  const int low = sequence & ((1 << tags.sequence_bits) - 1);
  return (context << (tags.sequence_bits + 1)) | low;
}

int Group::message_tag(int user_tag) const {
  const auto tags = transport->tags();
  return (context << (tags.sequence_bits + 1)) | (1 << tags.sequence_bits) | user_tag;
}

std::unique_ptr<GroupCommunicator> GroupCommunicator::all(std::shared_ptr<Transport> transport) {
  auto group = std::make_shared<Group>();
  group->members.resize(static_cast<std::size_t>(transport->size()));
  std::iota(group->members.begin(), group->members.end(), 0);
  group->rank = transport->rank();
  group->transport = std::move(transport);
  return std::make_unique<GroupCommunicator>(std::move(group));
}

int GroupCommunicator::next_tag() {
  group_->transport->check();
  group_->transport->reap();
  return group_->collective_tag(sequence_++);
}

void GroupCommunicator::require_peer(int peer) const {
  CONCORDAT_REQUIRE(peer >= 0 && peer < size(),
                    "rank " + std::to_string(peer) + " of " + std::to_string(size()));
}

Handle GroupCommunicator::all_reduce(Tensor inout, ReduceOp op, Stream& stream) {
  require_contiguous(inout);
  const int tag = next_tag();
  stream.enqueue(
      [group = group_, tag, inout, op] { run_all_reduce(*group, tag, elements(inout), op); });
  return Handle(stream.record(), {std::move(inout)});
}

Handle GroupCommunicator::all_gather(Tensor out, Tensor in, Stream& stream) {
  require_contiguous(out);
  require_contiguous(in);
  CONCORDAT_REQUIRE(out.dtype() == in.dtype() && out.size() == in.size() * size(),
                    to_string(out.shape()) + " from " + to_string(in.shape()));
  const int tag = next_tag();
  stream.enqueue(
      [group = group_, tag, out, in] { run_all_gather(*group, tag, elements(out), elements(in)); });
  return Handle(stream.record(), {std::move(out), std::move(in)});
}

Handle GroupCommunicator::reduce_scatter(Tensor out, Tensor in, ReduceOp op, Stream& stream) {
  require_contiguous(out);
  require_contiguous(in);
  CONCORDAT_REQUIRE(out.dtype() == in.dtype() && in.size() == out.size() * size(),
                    to_string(out.shape()) + " from " + to_string(in.shape()));
  const int tag = next_tag();
  stream.enqueue([group = group_, tag, out, in, op] {
    run_reduce_scatter(*group, tag, elements(out), elements(in), op);
  });
  return Handle(stream.record(), {std::move(out), std::move(in)});
}

Handle GroupCommunicator::broadcast(Tensor inout, int root, Stream& stream) {
  require_contiguous(inout);
  require_peer(root);
  const int tag = next_tag();
  stream.enqueue([group = group_, tag, inout, root] {
    run_broadcast(*group, tag, elements(inout).bytes(), root);
  });
  return Handle(stream.record(), {std::move(inout)});
}

void GroupCommunicator::require_bounds(const Tensor& tensor,
                                       const std::vector<std::int64_t>& bounds) const {
  CONCORDAT_REQUIRE(static_cast<int>(bounds.size()) == size() + 1 && bounds.front() == 0 &&
                        bounds.back() == tensor.size() &&
                        std::is_sorted(bounds.begin(), bounds.end()),
                    std::to_string(bounds.size()) + " bounds for " + to_string(tensor.shape()));
}

Handle GroupCommunicator::reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, ReduceOp op,
                                       Stream& stream) {
  require_contiguous(inout);
  require_bounds(inout, bounds);
  const int tag = next_tag();
  stream.enqueue([group = group_, tag, inout, bounds = std::move(bounds), op] {
    run_reduce_parts(*group, tag, elements(inout), bounds, op);
  });
  return Handle(stream.record(), {std::move(inout)});
}

Handle GroupCommunicator::gather_parts(Tensor inout, std::vector<std::int64_t> bounds,
                                       Stream& stream) {
  require_contiguous(inout);
  require_bounds(inout, bounds);
  const int tag = next_tag();
  stream.enqueue([group = group_, tag, inout, bounds = std::move(bounds)] {
    run_gather_parts(*group, tag, elements(inout), bounds);
  });
  return Handle(stream.record(), {std::move(inout)});
}

std::vector<std::int64_t> even_bounds(std::int64_t count, int parts) {
  CONCORDAT_REQUIRE(count >= 0 && parts > 0, std::to_string(count));
  std::vector<std::int64_t> bounds;
  const std::int64_t each = count / parts;
  for (int r = 0; r <= parts; ++r) {
    bounds.push_back(each * r + std::min<std::int64_t>(r, count % parts));
  }
  return bounds;
}

Handle GroupCommunicator::send(Tensor tensor, int to, int tag, Stream& stream) {
  require_contiguous(tensor);
  require_peer(to);
  CONCORDAT_REQUIRE(to != rank() && tag >= 0 && tag < 65536, "tag " + std::to_string(tag));
  group_->transport->check();
  stream.enqueue([group = group_, to, tag = group_->message_tag(tag), tensor] {
    // A copy, so that what follows in the stream may overwrite the tensor and two ranks that send
    // to each other first do not wait for each other.
    const auto view = elements(tensor).bytes();
    Bytes copy(view.begin(), view.end());
    Transfers transfers;
    post_send(*group->transport, transfers, group->job_rank(to), tag, copy);
    group->transport->keep_until_sent(std::move(copy), std::move(transfers));
  });
  return Handle(stream.record(), {std::move(tensor)});
}

Handle GroupCommunicator::recv(Tensor tensor, int from, int tag, Stream& stream) {
  require_contiguous(tensor);
  require_peer(from);
  CONCORDAT_REQUIRE(from != rank() && tag >= 0 && tag < 65536, "tag " + std::to_string(tag));
  group_->transport->check();
  stream.enqueue([group = group_, from, tag = group_->message_tag(tag), tensor] {
    Transfers transfers;
    post_receive(*group->transport, transfers, group->job_rank(from), tag,
                 elements(tensor).bytes());
    wait_all(*group->transport, transfers);
  });
  return Handle(stream.record(), {std::move(tensor)});
}

void GroupCommunicator::broadcast_bytes(Bytes& bytes, int root) {
  require_peer(root);
  const int tag = next_tag();
  std::array<std::uint8_t, 8> length{};
  for (std::size_t i = 0; i < 8; ++i) {
    length[i] = static_cast<std::uint8_t>(std::uint64_t{bytes.size()} >> (8 * i));
  }
  run_broadcast(*group_, tag, length, root);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < 8; ++i) count |= std::uint64_t{length[i]} << (8 * i);
  bytes.resize(count);
  run_broadcast(*group_, tag, bytes, root);
}

std::vector<Bytes> GroupCommunicator::gather_bytes(ByteView mine, int root) {
  require_peer(root);
  const auto num = static_cast<std::size_t>(size());
  std::vector<const ByteView*> outgoing(num, nullptr);
  outgoing[static_cast<std::size_t>(root)] = &mine;
  auto incoming =
      run_exchange(*group_, next_tag(), outgoing, std::vector<bool>(num, rank() == root));
  if (rank() != root) incoming.clear();
  return incoming;
}

std::vector<Bytes> GroupCommunicator::all_gather_bytes(ByteView mine) {
  const auto num = static_cast<std::size_t>(size());
  return run_exchange(*group_, next_tag(), std::vector<const ByteView*>(num, &mine),
                      std::vector<bool>(num, true));
}

std::vector<Bytes> GroupCommunicator::all_to_all_bytes(std::vector<Bytes> outgoing) {
  const auto num = static_cast<std::size_t>(size());
  CONCORDAT_REQUIRE(outgoing.size() == num, std::to_string(outgoing.size()) + " entries");
  std::vector<ByteView> views(outgoing.begin(), outgoing.end());
  std::vector<const ByteView*> pointers;
  for (const auto& view : views) pointers.push_back(&view);
  return run_exchange(*group_, next_tag(), pointers, std::vector<bool>(num, true));
}

void GroupCommunicator::barrier() { run_barrier(*group_, next_tag()); }

std::unique_ptr<Communicator> GroupCommunicator::split(int color, int key) {
  // Everybody's next free context is agreed on with the colours: the largest is free at all. The
  // colours of one split are disjoint, so they can share a number.
  auto& transport = *group_->transport;
  ByteWriter mine;
  mine.i64(color);
  mine.i64(key);
  mine.i64(transport.next_context);
  const auto all = all_gather_bytes(mine.bytes());
  struct Member {
    std::int64_t key;
    int group_rank;
  };
  std::vector<Member> members;
  std::int64_t context = 0;
  for (int r = 0; r < size(); ++r) {
    ByteReader in(all[static_cast<std::size_t>(r)], "split");
    const auto their_color = in.i64();
    const auto their_key = in.i64();
    context = std::max(context, in.i64());
    if (their_color == color) members.push_back({their_key, r});
  }
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return std::pair(a.key, a.group_rank) < std::pair(b.key, b.group_rank);
  });
  CONCORDAT_REQUIRE(context < (std::int64_t{1} << transport.tags().context_bits),
                    "the job has used up its " + std::to_string(context) + " groups");
  transport.next_context = static_cast<int>(context) + 1;
  auto group = std::make_shared<Group>();
  group->transport = group_->transport;
  group->context = static_cast<int>(context);
  for (const auto& member : members) {
    if (member.group_rank == rank()) group->rank = static_cast<int>(group->members.size());
    group->members.push_back(group_->job_rank(member.group_rank));
  }
  return std::make_unique<GroupCommunicator>(std::move(group));
}

void GroupCommunicator::fail(const std::exception& error) noexcept {
  const auto* ours = dynamic_cast<const Error*>(&error);
  const ExitCode code = ours != nullptr ? ours->exit_code() : ExitCode::internal;
  group_->transport->post_fault(error.what(), static_cast<int>(code));
}

}  // namespace concordat::comm
