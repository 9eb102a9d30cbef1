// MeddlingCommunicator: another communicator whose messages are altered on their way.
//
//   MeddlingCommunicator meddling(comm, [](std::span<std::byte> arrived) { arrived[0] ^= ...; });
#pragma once

#include <functional>
#include <span>

#include "concordat/comm/communicator.hpp"

namespace concordat::testing_support {

class MeddlingCommunicator final : public comm::Communicator {
 public:
  using Meddle = std::function<void(std::span<std::byte>)>;
  /// `meddle` sees what each recv() brought, before the receiver does. Streams must be inline.
  MeddlingCommunicator(comm::Communicator& real, Meddle meddle)
      : real_(real), meddle_(std::move(meddle)) {}

  int rank() const override { return real_.rank(); }
  int size() const override { return real_.size(); }
  comm::Handle all_reduce(Tensor inout, comm::ReduceOp op, Stream& stream) override {
    return real_.all_reduce(inout, op, stream);
  }
  comm::Handle all_gather(Tensor out, Tensor in, Stream& stream) override {
    return real_.all_gather(out, in, stream);
  }
  comm::Handle reduce_scatter(Tensor out, Tensor in, comm::ReduceOp op, Stream& stream) override {
    return real_.reduce_scatter(out, in, op, stream);
  }
  comm::Handle broadcast(Tensor inout, int root, Stream& stream) override {
    return real_.broadcast(inout, root, stream);
  }
  comm::Handle reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, comm::ReduceOp op,
                            Stream& stream) override {
    return real_.reduce_parts(inout, std::move(bounds), op, stream);
  }
  comm::Handle gather_parts(Tensor inout, std::vector<std::int64_t> bounds,
                            Stream& stream) override {
    return real_.gather_parts(inout, std::move(bounds), stream);
  }
  comm::Handle send(Tensor tensor, int to, int tag, Stream& stream) override {
    return real_.send(tensor, to, tag, stream);
  }
  comm::Handle recv(Tensor tensor, int from, int tag, Stream& stream) override {
    auto handle = real_.recv(tensor, from, tag, stream);
    meddle_({tensor.raw_bytes(), tensor.size_bytes()});
    return handle;
  }
  void broadcast_bytes(Bytes& bytes, int root) override { real_.broadcast_bytes(bytes, root); }
  std::vector<Bytes> gather_bytes(ByteView mine, int root) override {
    return real_.gather_bytes(mine, root);
  }
  std::vector<Bytes> all_gather_bytes(ByteView mine) override {
    return real_.all_gather_bytes(mine);
  }
  std::vector<Bytes> all_to_all_bytes(std::vector<Bytes> outgoing) override {
    return real_.all_to_all_bytes(std::move(outgoing));
  }
  void barrier() override { real_.barrier(); }
  std::unique_ptr<comm::Communicator> split(int color, int key) override {
    return real_.split(color, key);
  }
  void fail(const std::exception& error) noexcept override { real_.fail(error); }
  void open_channels(const std::vector<comm::Channel>& channels) override {
    real_.open_channels(channels);
  }
  void require_alive() override { real_.require_alive(); }
  std::chrono::milliseconds stall_timeout() const override { return real_.stall_timeout(); }

 private:
  comm::Communicator& real_;
  Meddle meddle_;
};

}  // namespace concordat::testing_support
