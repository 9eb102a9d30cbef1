// GroupCommunicator: a Communicator over some ranks of a Transport.
//
// A group is a list of job ranks and a context number that is part of every tag, so splitting
// costs no call of the back end and groups never take each other's messages. Each call takes a
// sequence number when it is made, in program order, which is the same on all ranks; so work on
// stream threads and host collectives cannot be confused either.
#pragma once

#include <memory>
#include <vector>

#include "comm/transport.hpp"

namespace concordat::comm {

/// What the work on a stream needs; it may outlive the communicator.
struct Group {
  std::shared_ptr<Transport> transport;
  std::vector<int> members;  ///< job ranks, in group order
  int rank = 0;              ///< of this process, in the group
  int context = 0;

  int size() const { return static_cast<int>(members.size()); }
  int job_rank(int group_rank) const { return members[static_cast<std::size_t>(group_rank)]; }
  int collective_tag(int sequence) const;
  int message_tag(int user_tag) const;
};

class GroupCommunicator final : public Communicator {
 public:
  explicit GroupCommunicator(std::shared_ptr<const Group> group) : group_(std::move(group)) {}
  /// The group of all ranks of a transport.
  static std::unique_ptr<GroupCommunicator> all(std::shared_ptr<Transport> transport);

  int rank() const override { return group_->rank; }
  int size() const override { return group_->size(); }
  Handle all_reduce(Tensor inout, ReduceOp op, Stream& stream) override;
  Handle all_gather(Tensor out, Tensor in, Stream& stream) override;
  Handle reduce_scatter(Tensor out, Tensor in, ReduceOp op, Stream& stream) override;
  Handle broadcast(Tensor inout, int root, Stream& stream) override;
  Handle reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, ReduceOp op,
                      Stream& stream) override;
  Handle gather_parts(Tensor inout, std::vector<std::int64_t> bounds, Stream& stream) override;
  Handle send(Tensor tensor, int to, int tag, Stream& stream) override;
  Handle recv(Tensor tensor, int from, int tag, Stream& stream) override;
  void broadcast_bytes(Bytes& bytes, int root) override;
  std::vector<Bytes> gather_bytes(ByteView mine, int root) override;
  std::vector<Bytes> all_gather_bytes(ByteView mine) override;
  std::vector<Bytes> all_to_all_bytes(std::vector<Bytes> outgoing) override;
  void barrier() override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void fail(const std::exception& error) noexcept override;
  void require_alive() override { group_->transport->check(); }
  std::chrono::milliseconds stall_timeout() const override {
    return group_->transport->options().stall_timeout;
  }

 private:
  int next_tag();
  void require_peer(int peer) const;
  void require_bounds(const Tensor& tensor, const std::vector<std::int64_t>& bounds) const;
  std::shared_ptr<const Group> group_;
  int sequence_ = 0;
};

}  // namespace concordat::comm
