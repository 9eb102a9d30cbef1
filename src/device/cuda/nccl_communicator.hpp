// NcclCommunicator: the ranks of a host communicator, each with a GPU. Tensors on a GPU go through
// NCCL in the order of the given CUDA stream; host tensors, bytes and barriers go to the host's
// communicator, which also carries NCCL's ids (over MPI, where that is what the host has). So no
// device pointer ever reaches MPI, and no tensor goes through host memory.
//
// What differs from comm/communicator.hpp, because NCCL adds up: the order of a sum depends on
// NCCL's choice of algorithm (Backend::sums_in_fixed_order), bf16 may be rounded between additions,
// min and max may lose a NaN, and there are no sums of u16 (device.not_on_this_device).
//
// The first collective of a group may hold up the host until the others' hosts come to it, since
// NCCL connects then. Later ones do not.
//
// send() is buffered although NCCL's is a rendezvous. Every channel (tag and hop, open_channels)
// has a link of two ranks of its own in each direction, and the sender's end a stream: a copy of
// the tensor is made in the caller's stream, and the channel's stream waits for the copy and sends
// it. So a send that waits for its receiver holds up later sends of its channel and nothing else;
// these are received behind it anyway, by the order that messages with one tag have. It can wait
// for ever only where its receive is never reached, and then it would with any buffering. NCCL has
// no tags, and needs none where each has a link.
//
// Threads, failure: as comm/communicator.hpp. Groups of one have no link.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/cuda/nccl_hub.hpp"

namespace concordat::device::cuda {

class NcclCommunicator final : public comm::Communicator {
 public:
  /// Collective over `host`, whose ranks are the group's.
  NcclCommunicator(std::shared_ptr<Device> device, std::shared_ptr<NcclHub> hub,
                   std::shared_ptr<comm::Communicator> host);
  /// Collective, unless something failed.
  ~NcclCommunicator() override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  comm::Handle all_reduce(Tensor inout, comm::ReduceOp op, Stream& stream) override;
  comm::Handle all_gather(Tensor out, Tensor in, Stream& stream) override;
  comm::Handle reduce_scatter(Tensor out, Tensor in, comm::ReduceOp op, Stream& stream) override;
  comm::Handle broadcast(Tensor inout, int root, Stream& stream) override;
  comm::Handle reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, comm::ReduceOp op,
                            Stream& stream) override;
  comm::Handle gather_parts(Tensor inout, std::vector<std::int64_t> bounds,
                            Stream& stream) override;
  comm::Handle send(Tensor tensor, int to, int tag, Stream& stream) override;
  comm::Handle recv(Tensor tensor, int from, int tag, Stream& stream) override;
  void open_channels(const std::vector<comm::Channel>& channels) override;

  void broadcast_bytes(Bytes& bytes, int root) override { host_->broadcast_bytes(bytes, root); }
  std::vector<Bytes> gather_bytes(ByteView mine, int root) override {
    return host_->gather_bytes(mine, root);
  }
  std::vector<Bytes> all_gather_bytes(ByteView mine) override {
    return host_->all_gather_bytes(mine);
  }
  std::vector<Bytes> all_to_all_bytes(std::vector<Bytes> outgoing) override {
    return host_->all_to_all_bytes(std::move(outgoing));
  }
  void barrier() override { host_->barrier(); }
  std::unique_ptr<comm::Communicator> split(int color, int key) override;
  void fail(const std::exception& error) noexcept override { hub_->fail(error); }
  void require_alive() override { host_->require_alive(); }
  std::chrono::milliseconds stall_timeout() const override { return host_->stall_timeout(); }

 private:
  /// One channel's two links: to the rank that is `hop` on, and from the one that is `hop` back.
  struct Route {
    comm::Channel channel;
    ncclComm_t outgoing = nullptr;
    ncclComm_t incoming = nullptr;
    std::unique_ptr<CudaStream> stream;  ///< of the sends
  };
  int place_of(int rank, int hop) const { return ((rank + hop) % size() + size()) % size(); }
  const Route& route(int tag, int hop_to) const;
  /// Collective over `links`.
  void connect(const std::vector<Route>& routes, const NcclHub::Links& links);
  void require_parts(const Tensor& tensor, const std::vector<std::int64_t>& bounds) const;
  void run(ncclComm_t link, const std::function<void()>& calls) { hub_->run({link}, calls); }

  std::shared_ptr<Device> device_;
  std::shared_ptr<NcclHub> hub_;
  std::shared_ptr<comm::Communicator> host_;
  ncclComm_t link_ = nullptr;
  std::vector<Route> routes_;
};

}  // namespace concordat::device::cuda
