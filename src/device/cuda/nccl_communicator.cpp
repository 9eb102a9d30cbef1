#include "device/cuda/nccl_communicator.hpp"

#include <algorithm>
#include <cstring>

#include "concordat/device/errors.hpp"
#include "device/cuda/nccl.hpp"
#include "device/views.hpp"

namespace concordat::device::cuda {

using comm::Handle;
using comm::ReduceOp;

namespace {

bool on_host(const Tensor& tensor) {
  CONCORDAT_REQUIRE(!tensor.empty() && tensor.contiguous(), to_string(tensor.shape()));
  return tensor.place() == Place::host;
}

cudaStream_t handle_of(Stream& stream) {
  auto* ours = dynamic_cast<CudaStream*>(&stream);
  CONCORDAT_REQUIRE(ours != nullptr, "a device tensor in a stream that is no CUDA stream");
  return ours->handle();
}

ncclDataType_t summed_as(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return ncclFloat32;
    case Dtype::f64:
      return ncclFloat64;
    case Dtype::bf16:
      return ncclBfloat16;
    case Dtype::i32:
      return ncclInt32;
    case Dtype::i64:
      return ncclInt64;
    case Dtype::u8:
      return ncclUint8;
    case Dtype::u32:
      return ncclUint32;
    case Dtype::u16:
      throw Error(errors::not_on_this_device, {.what = "NCCL has no sums of u16",
                                               .where = "a reduction over ranks",
                                               .found = "u16",
                                               .expected = "f32, f64, bf16, i32, i64, u8 or u32",
                                               .remedy = "reduce it on the host"});
    case Dtype::f16:
      break;
  }
  throw Bug("no reduction of " + std::string(name_of(dtype)));
}

ncclRedOp_t nccl_op(ReduceOp op) {
  return op == ReduceOp::sum ? ncclSum : op == ReduceOp::min ? ncclMin : ncclMax;
}

std::byte* part(const Tensor& tensor, std::int64_t element) {
  return tensor.raw_bytes() + static_cast<std::size_t>(element) * size_of(tensor.dtype());
}

void copy_on(const Tensor& out, const Tensor& in, cudaStream_t stream) {
  if (in.size() == 0 || in.raw_bytes() == out.raw_bytes()) return;
  check(cudaMemcpyAsync(out.raw_bytes(), in.raw_bytes(), in.size_bytes(), cudaMemcpyDeviceToDevice,
                        stream),
        "cudaMemcpyAsync");
}

Bytes bytes_of(const ncclUniqueId& id) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(id.internal);
  return {begin, begin + sizeof id.internal};
}

ncclUniqueId id_of(ByteView bytes) {
  ncclUniqueId id{};
  CONCORDAT_REQUIRE(bytes.size() == sizeof id.internal, std::to_string(bytes.size()));
  std::memcpy(id.internal, bytes.data(), bytes.size());
  return id;
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<Device> device, std::shared_ptr<NcclHub> hub,
                                   std::shared_ptr<comm::Communicator> host)
    : device_(std::move(device)), hub_(std::move(hub)), host_(std::move(host)) {
  if (size() == 1) return;
  Bytes id;
  if (rank() == 0) id = bytes_of(hub_->make_id());
  host_->broadcast_bytes(id, 0);
  link_ = hub_->open({{id_of(id), size(), rank()}}).front();
}

NcclCommunicator::~NcclCommunicator() {
  NcclHub::Links links;
  if (link_ != nullptr) links.push_back(link_);
  for (const Route& each : routes_) {
    links.push_back(each.outgoing);
    links.push_back(each.incoming);
  }
  hub_->close(links);
}

std::unique_ptr<comm::Communicator> NcclCommunicator::split(int color, int key) {
  hub_->require_alive();
  return std::make_unique<NcclCommunicator>(device_, hub_, host_->split(color, key));
}

Handle NcclCommunicator::all_reduce(Tensor inout, ReduceOp op, Stream& stream) {
  if (on_host(inout)) return host_->all_reduce(std::move(inout), op, stream);
  const cudaStream_t on = handle_of(stream);
  const ncclDataType_t type = summed_as(inout.dtype());
  if (size() > 1 && inout.size() > 0) {
    run(link_, [&] {
      check(ncclAllReduce(inout.raw_bytes(), inout.raw_bytes(),
                          static_cast<std::size_t>(inout.size()), type, nccl_op(op), link_, on),
            "ncclAllReduce");
    });
  }
  return Handle(stream.record(), {std::move(inout)});
}

Handle NcclCommunicator::all_gather(Tensor out, Tensor in, Stream& stream) {
  if (on_host(out)) return host_->all_gather(std::move(out), std::move(in), stream);
  CONCORDAT_REQUIRE(!on_host(in) && out.dtype() == in.dtype() && out.size() == in.size() * size(),
                    to_string(out.shape()) + " from " + to_string(in.shape()));
  const cudaStream_t on = handle_of(stream);
  if (size() == 1) {
    copy_on(out, in, on);
  } else if (in.size() > 0) {
    run(link_, [&] {
      check(ncclAllGather(in.raw_bytes(), out.raw_bytes(), in.size_bytes(), ncclUint8, link_, on),
            "ncclAllGather");
    });
  }
  return Handle(stream.record(), {std::move(out), std::move(in)});
}

Handle NcclCommunicator::reduce_scatter(Tensor out, Tensor in, ReduceOp op, Stream& stream) {
  if (on_host(out)) return host_->reduce_scatter(std::move(out), std::move(in), op, stream);
  CONCORDAT_REQUIRE(!on_host(in) && out.dtype() == in.dtype() && in.size() == out.size() * size(),
                    to_string(out.shape()) + " from " + to_string(in.shape()));
  const cudaStream_t on = handle_of(stream);
  const ncclDataType_t type = summed_as(in.dtype());
  if (size() == 1) {
    copy_on(out, in, on);
  } else if (out.size() > 0) {
    run(link_, [&] {
      check(ncclReduceScatter(in.raw_bytes(), out.raw_bytes(), static_cast<std::size_t>(out.size()),
                              type, nccl_op(op), link_, on),
            "ncclReduceScatter");
    });
  }
  return Handle(stream.record(), {std::move(out), std::move(in)});
}

Handle NcclCommunicator::broadcast(Tensor inout, int root, Stream& stream) {
  if (on_host(inout)) return host_->broadcast(std::move(inout), root, stream);
  CONCORDAT_REQUIRE(root >= 0 && root < size(), std::to_string(root));
  const cudaStream_t on = handle_of(stream);
  if (size() > 1 && inout.size() > 0) {
    run(link_, [&] {
      check(ncclBroadcast(inout.raw_bytes(), inout.raw_bytes(), inout.size_bytes(), ncclUint8, root,
                          link_, on),
            "ncclBroadcast");
    });
  }
  return Handle(stream.record(), {std::move(inout)});
}

void NcclCommunicator::require_parts(const Tensor& tensor,
                                     const std::vector<std::int64_t>& bounds) const {
  CONCORDAT_REQUIRE(static_cast<int>(bounds.size()) == size() + 1 && bounds.front() == 0 &&
                        bounds.back() == tensor.size() &&
                        std::is_sorted(bounds.begin(), bounds.end()),
                    std::to_string(bounds.size()) + " bounds for " + to_string(tensor.shape()));
}

Handle NcclCommunicator::reduce_parts(Tensor inout, std::vector<std::int64_t> bounds, ReduceOp op,
                                      Stream& stream) {
  if (on_host(inout)) return host_->reduce_parts(std::move(inout), std::move(bounds), op, stream);
  require_parts(inout, bounds);
  const cudaStream_t on = handle_of(stream);
  const ncclDataType_t type = summed_as(inout.dtype());
  // A reduction for each part, to its owner, in place: NCCL writes nothing on the other ranks. One
  // group, so that they go side by side.
  if (size() > 1 && inout.size() > 0) {
    run(link_, [&] {
      for (int r = 0; r < size(); ++r) {
        const std::int64_t begin = bounds[static_cast<std::size_t>(r)];
        const std::int64_t count = bounds[static_cast<std::size_t>(r) + 1] - begin;
        if (count == 0) continue;
        check(ncclReduce(part(inout, begin), part(inout, begin), static_cast<std::size_t>(count),
                         type, nccl_op(op), r, link_, on),
              "ncclReduce");
      }
    });
  }
  return Handle(stream.record(), {std::move(inout)});
}

Handle NcclCommunicator::gather_parts(Tensor inout, std::vector<std::int64_t> bounds,
                                      Stream& stream) {
  if (on_host(inout)) return host_->gather_parts(std::move(inout), std::move(bounds), stream);
  require_parts(inout, bounds);
  const cudaStream_t on = handle_of(stream);
  if (size() > 1 && inout.size() > 0) {
    run(link_, [&] {
      for (int r = 0; r < size(); ++r) {
        const std::int64_t begin = bounds[static_cast<std::size_t>(r)];
        const auto count =
            static_cast<std::size_t>(bounds[static_cast<std::size_t>(r) + 1] - begin);
        if (count == 0) continue;
        check(ncclBroadcast(part(inout, begin), part(inout, begin), count * size_of(inout.dtype()),
                            ncclUint8, r, link_, on),
              "ncclBroadcast");
      }
    });
  }
  return Handle(stream.record(), {std::move(inout)});
}

const NcclCommunicator::Route& NcclCommunicator::route(int tag, int hop_to) const {
  for (const Route& each : routes_) {
    if (each.channel.tag == tag && place_of(rank(), each.channel.hop) == hop_to) return each;
  }
  throw Bug("a message with tag " + std::to_string(tag) + " to rank " + std::to_string(hop_to) +
            " without a channel (open_channels)");
}

Handle NcclCommunicator::send(Tensor tensor, int to, int tag, Stream& stream) {
  if (on_host(tensor)) return host_->send(std::move(tensor), to, tag, stream);
  const cudaStream_t on = handle_of(stream);
  const Route& way = route(tag, to);
  if (tensor.size() > 0) {
    // The pool hands the copy's memory out again only behind what the channel's stream holds.
    const Tensor copy = device_->allocate(tensor.dtype(), tensor.shape());
    copy_on(copy, tensor, on);
    way.stream->wait(stream.record());
    run(way.outgoing, [&] {
      check(ncclSend(copy.raw_bytes(), copy.size_bytes(), ncclUint8, 1, way.outgoing,
                     way.stream->handle()),
            "ncclSend");
    });
  }
  return Handle(stream.record(), {std::move(tensor)});
}

Handle NcclCommunicator::recv(Tensor tensor, int from, int tag, Stream& stream) {
  if (on_host(tensor)) return host_->recv(std::move(tensor), from, tag, stream);
  const cudaStream_t on = handle_of(stream);
  for (const Route& way : routes_) {
    if (way.channel.tag != tag || place_of(from, way.channel.hop) != rank()) continue;
    if (tensor.size() > 0) {
      run(way.incoming, [&] {
        check(ncclRecv(tensor.raw_bytes(), tensor.size_bytes(), ncclUint8, 0, way.incoming, on),
              "ncclRecv");
      });
    }
    return Handle(stream.record(), {std::move(tensor)});
  }
  throw Bug("a message with tag " + std::to_string(tag) + " from rank " + std::to_string(from) +
            " without a channel (open_channels)");
}

void NcclCommunicator::open_channels(const std::vector<comm::Channel>& channels) {
  if (size() == 1) return;
  std::vector<comm::Channel> wanted;
  for (const comm::Channel& each : channels) {
    CONCORDAT_REQUIRE(place_of(rank(), each.hop) != rank(), "a channel to oneself");
    if (std::none_of(routes_.begin(), routes_.end(),
                     [&](const Route& route) { return route.channel == each; })) {
      wanted.push_back(each);
    }
  }
  if (wanted.empty()) return;
  Bytes ids;  // of the links on which this rank sends
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Bytes id = bytes_of(hub_->make_id());
    ids.insert(ids.end(), id.begin(), id.end());
  }
  const auto all = host_->all_gather_bytes(ids);
  const auto id_at = [&](int sender, std::size_t i) {
    const std::size_t length = sizeof(ncclUniqueId::internal);
    return id_of(ByteView(all[static_cast<std::size_t>(sender)]).subspan(i * length, length));
  };
  std::vector<NcclHub::Place> places;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    places.push_back({id_at(rank(), i), 2, 0});
    places.push_back({id_at(place_of(rank(), -wanted[i].hop), i), 2, 1});
  }
  const NcclHub::Links links = hub_->open(places);
  std::vector<Route> made;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    made.push_back(
        {wanted[i], links[2 * i], links[2 * i + 1], std::make_unique<CudaStream>(device_)});
  }
  connect(made, links);
  std::move(made.begin(), made.end(), std::back_inserter(routes_));
}

void NcclCommunicator::connect(const std::vector<Route>& routes, const NcclHub::Links& links) {
  // NCCL connects two ranks with their first message, and the sender's host waits meanwhile for the
  // receiver's. Here both come for certain; in the middle of a step two could wait for each other.
  // Receives have a stream apart from each send's: in one stream a send would stand in front of the
  // receive that its receiver's send waits for, all round the ring.
  const Tensor bytes = device_->allocate(Dtype::u8, {2});
  CudaStream receives(device_);
  check(cudaMemsetAsync(bytes.raw_bytes(), 0, 2, receives.handle()), "cudaMemsetAsync");
  for (const Route& each : routes) each.stream->wait(receives.record());
  hub_->run(links, [&] {
    for (const Route& each : routes) {
      check(ncclSend(part(bytes, 0), 1, ncclUint8, 1, each.outgoing, each.stream->handle()),
            "ncclSend");
      check(ncclRecv(part(bytes, 1), 1, ncclUint8, 0, each.incoming, receives.handle()),
            "ncclRecv");
    }
  });
  receives.synchronize();
  for (const Route& each : routes) each.stream->synchronize();
}

bool reaches_gpus(const comm::Communicator& ranks) {
  return ranks.size() == 1 || dynamic_cast<const NcclCommunicator*>(&ranks) != nullptr;
}

std::unique_ptr<comm::Communicator> make_communicator(const std::shared_ptr<Device>& device,
                                                      comm::Communicator& host) {
  std::shared_ptr<comm::Communicator> group = host.split(0, host.rank());
  auto hub = std::make_shared<NcclHub>(group);
  if (group->size() > 1) {
    const auto all = group->all_gather_bytes(device->identity());
    for (int r = 0; r < group->size(); ++r) {
      for (int other = 0; other < r; ++other) {
        if (all[static_cast<std::size_t>(r)] != all[static_cast<std::size_t>(other)]) continue;
        throw Error(errors::gpu_shared,
                    {.what = "two ranks have one GPU",
                     .where = "train.device=cuda",
                     .found = "ranks " + std::to_string(other) + " and " + std::to_string(r) +
                              " on one GPU",
                     .expected = "a GPU for each rank: NCCL takes no GPU twice",
                     .remedy = "start as many ranks on a machine as it has visible GPUs, or set "
                               "train.device=cpu"});
      }
    }
    // The same answer on all ranks, unless they have different libraries.
    try {
      require_nccl();
    } catch (const Error& error) {
      group->fail(error);
      throw;
    }
    device->set_watch(hub);  // one rank waits for nobody but its GPU
  }
  return std::make_unique<NcclCommunicator>(device, std::move(hub), std::move(group));
}

}  // namespace concordat::device::cuda
