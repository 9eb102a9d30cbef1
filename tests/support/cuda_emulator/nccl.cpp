// The API functions of include/nccl.h.
#include "nccl.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "fibers.hpp"
#include "launch.hpp"
#include "network.hpp"

using cuda_emulator::Call;
using cuda_emulator::Demand;
using cuda_emulator::exchange;
using cuda_emulator::Kind;
using cuda_emulator::Launch;
using cuda_emulator::LinkObject;
using cuda_emulator::machine;
using cuda_emulator::Operation;
using cuda_emulator::Post;

#define EMULATED_CALL()      \
  const Call call(__func__); \
  if (call.verdict() != cudaSuccess) return ncclUnhandledCudaError

namespace {

using Link = std::shared_ptr<LinkObject>;
std::map<LinkObject*, Link>& links() {
  static auto& the = *new std::map<LinkObject*, Link>();
  return the;
}

Link known(ncclComm_t comm) {
  const auto found = links().find(comm);
  return found == links().end() ? nullptr : found->second;
}

/// What the calling thread has asked for since ncclGroupStart.
struct Asked {
  Link link;
  cudaStream_t stream;
  Operation operation;
};
thread_local int depth = 0;
thread_local std::vector<Asked> asked;

void announce(const Operation& operation, const std::shared_ptr<Launch>& launch) {
  auto& meeting = exchange().meeting(operation.key, operation.slots);
  meeting.launches[static_cast<std::size_t>(operation.slot)] = launch;
  ++meeting.local;
  exchange().post({.kind = Post::Kind::asks,
                   .key = operation.key,
                   .slot = operation.slot,
                   .slots = operation.slots,
                   .demand = operation.demand});
}

ncclResult_t end_group() {
  std::map<std::pair<LinkObject*, cudaStream_t>, std::shared_ptr<Launch>> made;
  for (Asked& each : std::exchange(asked, {})) {
    auto& launch = made[{each.link.get(), each.stream}];
    if (!launch) {
      launch = std::make_shared<Launch>(each.link, each.stream);
      each.link->pending.push_back(launch);
      each.link->launched.push_back(launch);
      each.link->looks = 0;
    }
    launch->operations.push_back(each.operation);
    announce(each.operation, launch);
  }
  return ncclInProgress;
}

ncclResult_t ask(ncclComm_t comm, cudaStream_t stream, Operation operation) {
  const Link link = known(comm);
  if (!link || !machine().streams.contains(stream)) return ncclInvalidArgument;
  if (!link->ready || link->finalised || stream->device != link->device) return ncclInvalidUsage;
  if (stream->capture) return ncclInvalidUsage;  // the real one goes into graphs, too
  operation.key.group = link->group;
  if (operation.kind == Kind::message) {
    const int peer = operation.demand.root;
    if (peer < 0 || peer >= link->size || peer == link->rank) return ncclInvalidArgument;
    operation.key.from = operation.receives ? peer : link->rank;
    operation.key.to = operation.receives ? link->rank : peer;
    operation.demand.root = operation.key.to;
    operation.slot = operation.receives ? 1 : 0;
    operation.slots = 2;
    operation.key.nth = link->messages[{operation.key.from, operation.key.to}]++;
  } else {
    operation.slot = link->rank;
    operation.slots = link->size;
    operation.key.nth = link->collectives++;
  }
  asked.push_back({link, stream, operation});
  return depth == 0 ? end_group() : ncclSuccess;
}

ncclResult_t ask(ncclComm_t comm, cudaStream_t stream, Kind kind, const void* from, void* to,
                 std::size_t count, ncclDataType_t type, int op, int root, bool receives = false) {
  return ask(comm, stream,
             {.kind = kind,
              .from = from,
              .to = to,
              .demand = Demand{static_cast<int>(kind), count, type, op, root},
              .receives = receives});
}

/// Who a rank is: two of a group must not have one device.
std::string identity(const LinkObject& link) { return "device " + std::to_string(link.device); }

ncclResult_t look(LinkObject& link) {
  if (link.broken != ncclSuccess) return link.broken;
  auto& group = exchange().group(link.group, link.size);
  if (!link.ready) {
    if (++link.looks < 2 || !group.whole()) return ncclInProgress;
    for (std::size_t r = 0; r < group.who.size(); ++r) {
      if (std::count(group.who.begin(), group.who.end(), group.who[r]) > 1) {
        return link.broken = ncclInvalidUsage;
      }
    }
    link.ready = true;
    return ncclSuccess;
  }
  if (!link.pending.empty()) {
    // Work is in its stream only when this has said so.
    if (++link.looks < 2) return ncclInProgress;
    for (const auto& launch : link.pending) {
      if (!launch->connected()) return ncclInProgress;
    }
    for (const auto& launch : std::exchange(link.pending, {})) {
      launch->stream()->queue.push_back({nullptr, nullptr, nullptr, launch});
    }
    return ncclSuccess;
  }
  if (link.finalised) {
    for (const auto& launch : link.launched) {
      if (const auto open = launch.lock(); open && !open->done()) {
        machine().step(*open->stream());
        return ncclInProgress;
      }
    }
    return group.deserted() ? ncclSuccess : ncclInProgress;
  }
  return ncclSuccess;
}

void remove(const Link& link) {
  if (!link->finalised) {
    exchange().post({.kind = Post::Kind::leaves,
                     .key = {.group = link->group},
                     .slot = link->rank,
                     .slots = link->size});
  }
  exchange().forget(link->group);
  links().erase(link.get());
  machine().links = links().size();
  machine().changed.notify_all();
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  EMULATED_CALL();
  *version = machine().nccl;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  EMULATED_CALL();
  *id = {};
  const std::string name = cuda_emulator::network_id();
  std::memcpy(id->internal, name.data(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int num_ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  EMULATED_CALL();
  if (config->blocking != 0) return ncclInvalidArgument;  // not emulated
  auto link = std::make_shared<LinkObject>();
  link->group = id.internal;
  link->size = num_ranks;
  link->rank = rank;
  link->device = cuda_emulator::current_device;
  cuda_emulator::network_start();
  ++exchange().group(link->group, num_ranks).local;
  links().emplace(link.get(), link);
  machine().links = links().size();
  exchange().post({.kind = Post::Kind::joins,
                   .key = {.group = link->group},
                   .slot = rank,
                   .slots = num_ranks,
                   .text = identity(*link),
                   .process = cuda_emulator::network_address()});
  *comm = link.get();
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  EMULATED_CALL();
  const Link link = known(comm);
  if (!link || link->finalised) return ncclInvalidArgument;
  link->finalised = true;
  exchange().post({.kind = Post::Kind::leaves,
                   .key = {.group = link->group},
                   .slot = link->rank,
                   .slots = link->size});
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const Call call(__func__);
  const Link link = known(comm);
  if (!link || !link->finalised) return ncclInvalidArgument;
  remove(link);
  return call.verdict() == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const Call call(__func__);
  const Link link = known(comm);
  if (!link) return ncclInvalidArgument;
  link->aborted = true;  // its kernels end without a result
  link->pending.clear();
  remove(link);
  return call.verdict() == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  EMULATED_CALL();
  const Link link = known(comm);
  if (!link) return ncclInvalidArgument;
  *state = look(*link);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "another error of NCCL";
  }
}

const char* ncclGetLastError(ncclComm_t) { return "emulated"; }

ncclResult_t ncclGroupStart() {
  EMULATED_CALL();
  ++depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  const Call call(__func__);
  if (depth == 0) return ncclInvalidUsage;
  --depth;
  if (call.verdict() != cudaSuccess) {
    asked.clear();
    return ncclUnhandledCudaError;
  }
  return depth == 0 ? end_group() : ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::all_reduce, from, to, count, type, op, 0);
}

ncclResult_t ncclReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t op, int root, ncclComm_t comm, cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::reduce, from, to, count, type, op, root);
}

ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::broadcast, from, to, count, type, 0, root);
}

ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count_each,
                               ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                               cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::reduce_scatter, from, to, count_each, type, op, 0);
}

ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count_each, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::all_gather, from, to, count_each, type, 0, 0);
}

ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::message, from, nullptr, count, type, 0, peer);
}

ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  EMULATED_CALL();
  return ask(comm, stream, Kind::message, nullptr, to, count, type, 0, peer, true);
}

void cuda_emulator::break_links(int device) {
  std::lock_guard lock(machine().mutex);
  for (const auto& [pointer, link] : links()) {
    if (link->device == device) link->broken = ncclRemoteError;
  }
  machine().changed.notify_all();
}
