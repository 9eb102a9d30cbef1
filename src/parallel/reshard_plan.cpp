#include <algorithm>

#include "concordat/comm/agree.hpp"
#include "concordat/parallel/errors.hpp"
#include "concordat/parallel/reshard.hpp"

namespace concordat::parallel {

namespace {

std::int64_t end_of(const Segment& segment) {
  return segment.begin + (segment.count - 1) * segment.stride + segment.run;
}

/// Appends one run, extending the last copy where it continues it: end to end, or at the stride.
void append(std::vector<Copy>& copies, std::int64_t from, std::int64_t to, std::int64_t run) {
  if (!copies.empty()) {
    Copy& last = copies.back();
    if (last.count == 1 && last.from + last.run == from && last.to + last.run == to) {
      last.run += run;
      return;
    }
    if (last.run == run) {
      const std::int64_t from_step = from - (last.from + (last.count - 1) * last.from_stride);
      const std::int64_t to_step = to - (last.to + (last.count - 1) * last.to_stride);
      if (last.count == 1) {
        last.from_stride = from_step;
        last.to_stride = to_step;
      }
      if (last.from_stride == from_step && last.to_stride == to_step) {
        ++last.count;
        return;
      }
    }
  }
  copies.push_back({from, to, run, 1, 0, 0});
}

void intersect_segments(const Segment& source, const Segment& destination,
                        std::vector<Copy>& copies) {
  for (std::int64_t i = 0; i < source.count; ++i) {
    const std::int64_t begin = source.begin + i * source.stride;
    const std::int64_t end = begin + source.run;
    // The first destination run that ends after `begin`.
    std::int64_t j = 0;
    if (destination.count > 1) {
      const std::int64_t passed = begin - destination.begin - destination.run;
      j = passed < 0 ? 0 : passed / destination.stride + 1;
    }
    for (; j < destination.count; ++j) {
      const std::int64_t other = destination.begin + j * destination.stride;
      if (other >= end) break;
      const std::int64_t low = std::max(begin, other);
      const std::int64_t high = std::min(end, other + destination.run);
      if (low >= high) continue;
      append(copies, source.local_begin + i * source.local_stride + (low - begin),
             destination.local_begin + j * destination.local_stride + (low - other), high - low);
    }
  }
}

std::int64_t count_elements(std::span<const Copy> copies) {
  std::int64_t total = 0;
  for (const auto& copy : copies) total += copy.run * copy.count;
  return total;
}

std::int64_t count_elements(std::span<const Segment> list) {
  std::int64_t total = 0;
  for (const auto& segment : list) total += segment.run * segment.count;
  return total;
}

Bytes encode_segments(std::span<const Segment> owned, std::span<const Segment> held) {
  ByteWriter out;
  for (auto list : {owned, held}) {
    out.u32(static_cast<std::uint32_t>(list.size()));
    for (const auto& s : list) {
      for (std::int64_t value :
           {s.begin, s.run, s.count, s.stride, s.local_begin, s.local_stride}) {
        out.i64(value);
      }
    }
  }
  return std::move(out).bytes();
}

std::vector<Segment> decode_segments(ByteReader& in) {
  std::vector<Segment> list(in.count(1U << 24U));
  for (auto& s : list) {
    for (auto* value : {&s.begin, &s.run, &s.count, &s.stride, &s.local_begin, &s.local_stride}) {
      *value = in.i64();
    }
  }
  return list;
}

}  // namespace

std::vector<Copy> intersect(std::span<const Segment> source, std::span<const Segment> destination) {
  std::vector<Copy> copies;
  for (const auto& from : source) {
    for (const auto& to : destination) {
      if (from.begin < end_of(to) && to.begin < end_of(from)) {
        intersect_segments(from, to, copies);
      }
    }
  }
  return copies;
}

ReshardPlan ReshardPlan::make(int rank, std::span<const std::vector<Segment>> owned,
                              std::span<const std::vector<Segment>> held) {
  CONCORDAT_REQUIRE(owned.size() == held.size(), std::to_string(owned.size()));
  const auto me = static_cast<std::size_t>(rank);
  ReshardPlan plan;
  std::int64_t arriving = 0;
  for (std::size_t peer = 0; peer < owned.size(); ++peer) {
    auto incoming = intersect(owned[peer], held[me]);
    const std::int64_t num_in = count_elements(incoming);
    arriving += num_in;
    if (peer == me) {
      plan.local_ = std::move(incoming);
      continue;
    }
    if (num_in > 0) plan.receives_.push_back({static_cast<int>(peer), std::move(incoming), num_in});
    auto outgoing = intersect(owned[me], held[peer]);
    const std::int64_t num_out = count_elements(outgoing);
    if (num_out > 0) plan.sends_.push_back({static_cast<int>(peer), std::move(outgoing), num_out});
  }
  const std::int64_t wanted = count_elements(held[me]);
  if (arriving != wanted) {
    throw Error(errors::bad_plan,
                {.what = arriving < wanted ? "elements of a layout have no owner"
                                           : "elements of a layout have several owners",
                 .where = "rank " + std::to_string(rank),
                 .found = std::to_string(arriving) + " elements arrive",
                 .expected = std::to_string(wanted),
                 .remedy = "the segments come from different models; this is a bug"});
  }
  return plan;
}

ReshardPlan ReshardPlan::make(comm::Communicator& comm, std::span<const Segment> owned,
                              std::span<const Segment> held) {
  const auto all = comm.all_gather_bytes(encode_segments(owned, held));
  std::vector<std::vector<Segment>> all_owned;
  std::vector<std::vector<Segment>> all_held;
  for (const auto& bytes : all) {
    ByteReader in(bytes, "segments");
    all_owned.push_back(decode_segments(in));
    all_held.push_back(decode_segments(in));
    in.finish();
  }
  ReshardPlan plan;
  comm::agreed(comm, [&] { plan = make(comm.rank(), all_owned, all_held); });
  return plan;
}

}  // namespace concordat::parallel
