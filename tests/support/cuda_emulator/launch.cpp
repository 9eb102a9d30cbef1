#include "launch.hpp"

#include <cstring>

#include "comm/reduce.hpp"
#include "fibers.hpp"

namespace cuda_emulator {
namespace {

concordat::Dtype dtype_of(int type) {
  switch (static_cast<ncclDataType_t>(type)) {
    case ncclUint8:
      return concordat::Dtype::u8;
    case ncclInt32:
      return concordat::Dtype::i32;
    case ncclUint32:
      return concordat::Dtype::u32;
    case ncclInt64:
      return concordat::Dtype::i64;
    case ncclFloat32:
      return concordat::Dtype::f32;
    case ncclFloat64:
      return concordat::Dtype::f64;
    case ncclBfloat16:
      return concordat::Dtype::bf16;
    default:
      fault("a type that the emulated NCCL does not know");
  }
}

concordat::comm::ReduceOp op_of(int op) {
  switch (static_cast<ncclRedOp_t>(op)) {
    case ncclSum:
      return concordat::comm::ReduceOp::sum;
    case ncclMin:
      return concordat::comm::ReduceOp::min;
    case ncclMax:
      return concordat::comm::ReduceOp::max;
    default:
      fault("a reduction that the emulated NCCL does not know");
  }
}

std::size_t bytes_of(const Demand& demand) {
  return demand.count * concordat::size_of(dtype_of(demand.type));
}

/// In the order of comm's own sums, so that results have the reference's bits.
std::vector<std::byte> reduced(const Meeting& meeting, std::size_t begin, std::size_t bytes) {
  std::vector<std::vector<std::byte>> operands;
  std::vector<std::byte*> pointers;
  for (const auto& each : meeting.operands) {
    operands.emplace_back(each.begin() + static_cast<std::ptrdiff_t>(begin),
                          each.begin() + static_cast<std::ptrdiff_t>(begin + bytes));
  }
  for (auto& each : operands) pointers.push_back(each.data());
  std::vector<std::byte> out(bytes);
  concordat::comm::reduce_in_order(dtype_of(meeting.demand.type), op_of(meeting.demand.op),
                                   pointers, meeting.demand.count, out.data());
  return out;
}

void write(void* to, const std::vector<std::byte>& bytes) {
  check_write(to, bytes.size());
  std::memcpy(to, bytes.data(), bytes.size());
}

}  // namespace

bool Launch::connected() const {
  for (const Operation& each : operations) {
    if (each.key.nth == 0 && !exchange().meeting(each.key, each.slots).wanted_by_all()) {
      return false;
    }
  }
  return true;
}

void Launch::come() {
  here_ = true;
  for (const Operation& each : operations) {
    std::size_t bytes = bytes_of(each.demand);
    if (each.kind == Kind::reduce_scatter) bytes *= static_cast<std::size_t>(each.slots);
    const bool gives =
        each.kind == Kind::broadcast ? each.slot == each.demand.root : !each.receives;
    Post post{.kind = Post::Kind::comes,
              .key = each.key,
              .slot = each.slot,
              .slots = each.slots,
              .demand = each.demand};
    if (gives) {
      check_read(each.from, bytes);
      const auto* begin = static_cast<const std::byte*>(each.from);
      post.operand.assign(begin, begin + bytes);
    }
    exchange().post(post);
  }
}

void Launch::finish(const Operation& each) {
  const Meeting& met = exchange().meeting(each.key, each.slots);
  const std::size_t bytes = bytes_of(each.demand);
  switch (each.kind) {
    case Kind::all_reduce:
      write(each.to, reduced(met, 0, bytes));
      break;
    case Kind::reduce:
      if (each.slot == each.demand.root) write(each.to, reduced(met, 0, bytes));
      break;
    case Kind::broadcast:
      write(each.to, met.operands[static_cast<std::size_t>(each.demand.root)]);
      break;
    case Kind::reduce_scatter:
      write(each.to, reduced(met, static_cast<std::size_t>(each.slot) * bytes, bytes));
      break;
    case Kind::all_gather:
      for (std::size_t r = 0; r < met.operands.size(); ++r) {
        write(static_cast<std::byte*>(each.to) + r * bytes, met.operands[r]);
      }
      break;
    case Kind::message:
      if (each.receives) write(each.to, met.operands[0]);
      break;
  }
  exchange().take(each.key);
}

void Launch::bring_here() {
  while (!here_ && machine().step(*stream_)) {
  }
}

bool Launch::finish_here() {
  while (!done_ && machine().step(*stream_)) {
  }
  return done_;
}

bool Launch::advance() {
  if (link_->aborted || !machine().fault.empty()) return done_ = true;
  if (!here_) machine().in_kernel([&] { come(); });
  for (const Operation& each : operations) {
    const auto launches = exchange().meeting(each.key, each.slots).launches;
    for (const auto& launch : launches) {
      if (const auto other = launch.lock()) other->bring_here();
    }
    // An abort may have come on the way.
    if (link_->aborted || !machine().fault.empty()) return done_ = true;
    if (!exchange().meeting(each.key, each.slots).complete()) return false;
  }
  machine().in_kernel([&] {
    for (const Operation& each : operations) finish(each);
  });
  return done_ = true;
}

}  // namespace cuda_emulator
