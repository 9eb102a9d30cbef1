#include <algorithm>
#include <cstring>

#include "concordat/core/copy.hpp"
#include "concordat/parallel/reshard.hpp"

namespace concordat::parallel {

namespace {

constexpr std::int64_t chunk_bytes = 1 << 20;
constexpr int message_tag = 0xC0;

/// A local flat space: tensors one behind the other.
class FlatSpace {
 public:
  FlatSpace(std::span<const Tensor> tensors, std::size_t element_bytes)
      : element_bytes_(element_bytes) {
    std::int64_t at = 0;
    for (const auto& tensor : tensors) {
      if (tensor.empty()) continue;
      CONCORDAT_REQUIRE(tensor.contiguous() && size_of(tensor.dtype()) == element_bytes,
                        to_string(tensor.shape()));
      pieces_.push_back({at, tensor.size(), tensor.raw_bytes()});
      at += tensor.size();
    }
  }

  /// Address of element `index`; `count` shrinks to what lies behind it in the same tensor. A run
  /// may go on in the next tensor, where neighbours in canonical space are neighbours here too.
  std::byte* at(std::int64_t index, std::int64_t& count) const {
    auto next = std::upper_bound(pieces_.begin(), pieces_.end(), index,
                                 [](std::int64_t i, const Piece& p) { return i < p.begin; });
    CONCORDAT_REQUIRE(index >= 0 && next != pieces_.begin(), std::to_string(index));
    const Piece& piece = *std::prev(next);
    CONCORDAT_REQUIRE(index < piece.begin + piece.count,
                      "element " + std::to_string(index) + " behind the last tensor");
    count = std::min(count, piece.begin + piece.count - index);
    return piece.data + static_cast<std::size_t>(index - piece.begin) * element_bytes_;
  }

  /// Calls visit(address, bytes) for the pieces of a run.
  template <typename Visit>
  void for_each_piece(std::int64_t index, std::int64_t count, Visit visit) const {
    while (count > 0) {
      std::int64_t part = count;
      std::byte* address = at(index, part);
      visit(address, static_cast<std::size_t>(part) * element_bytes_);
      index += part;
      count -= part;
    }
  }

 private:
  struct Piece {
    std::int64_t begin;
    std::int64_t count;
    std::byte* data;
  };
  std::vector<Piece> pieces_;
  std::size_t element_bytes_;
};

/// Walks through the elements of copies in chunks, over run boundaries.
class CopyCursor {
 public:
  explicit CopyCursor(std::span<const Copy> copies) : copies_(copies) {}

  /// Calls visit(from, to, count) for the next `limit` elements at most; how many there were.
  template <typename Visit>
  std::int64_t next(std::int64_t limit, Visit visit) {
    std::int64_t done = 0;
    while (done < limit && copy_ < copies_.size()) {
      const Copy& copy = copies_[copy_];
      const std::int64_t count = std::min(limit - done, copy.run - in_run_);
      visit(copy.from + run_ * copy.from_stride + in_run_,
            copy.to + run_ * copy.to_stride + in_run_, count);
      done += count;
      in_run_ += count;
      if (in_run_ < copy.run) continue;
      in_run_ = 0;
      if (++run_ < copy.count) continue;
      run_ = 0;
      ++copy_;
    }
    return done;
  }

 private:
  std::span<const Copy> copies_;
  std::size_t copy_ = 0;
  std::int64_t run_ = 0;
  std::int64_t in_run_ = 0;
};

std::size_t element_bytes_of(std::span<const Tensor> source, std::span<const Tensor> destination) {
  for (auto list : {source, destination}) {
    for (const auto& tensor : list) {
      if (!tensor.empty()) return size_of(tensor.dtype());
    }
  }
  return 1;
}

}  // namespace

void execute(const ReshardPlan& plan, comm::Communicator& comm, std::span<const Tensor> source,
             std::span<const Tensor> destination) {
  const std::size_t width = element_bytes_of(source, destination);
  const FlatSpace from_space(source, width);
  const FlatSpace to_space(destination, width);
  CopyCursor local(plan.local());
  local.next(INT64_MAX, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    from_space.for_each_piece(from, count, [&](const std::byte* source_bytes, std::size_t bytes) {
      const auto elements = static_cast<std::int64_t>(bytes / width);
      to_space.for_each_piece(to, elements, [&](std::byte* into, std::size_t part) {
        copy_bytes(into, source_bytes, part);
        source_bytes += part;
      });
      to += elements;
    });
  });

  // Rounds of one chunk a peer: everybody sends what it has for the round, then receives. No
  // count is agreed on: each pair knows its own total from the plan.
  InlineStream stream;
  const auto limit = std::max<std::int64_t>(1, chunk_bytes / static_cast<std::int64_t>(width));
  std::vector<CopyCursor> outgoing;
  std::vector<CopyCursor> incoming;
  for (const auto& peer : plan.sends()) outgoing.emplace_back(peer.copies);
  for (const auto& peer : plan.receives()) incoming.emplace_back(peer.copies);
  bool more = !outgoing.empty() || !incoming.empty();
  Tensor memory;  // send() copies, so one piece of memory serves all chunks
  if (more) memory = host_tensor(Dtype::u8, {limit * static_cast<std::int64_t>(width)});
  for (std::int64_t at = 0; more; at += limit) {
    more = false;
    for (std::size_t i = 0; i < outgoing.size(); ++i) {
      const auto& peer = plan.sends()[i];
      const std::int64_t count = std::min(limit, peer.num_elements - at);
      if (count <= 0) continue;
      more = true;
      const Tensor buffer = memory.slice(0, 0, count * static_cast<std::int64_t>(width));
      std::byte* into = buffer.raw_bytes();
      outgoing[i].next(count, [&](std::int64_t from, std::int64_t, std::int64_t run) {
        from_space.for_each_piece(from, run, [&](const std::byte* bytes, std::size_t count_bytes) {
          std::memcpy(into, bytes, count_bytes);
          into += count_bytes;
        });
      });
      comm.send(buffer, peer.rank, message_tag, stream);
    }
    for (std::size_t i = 0; i < incoming.size(); ++i) {
      const auto& peer = plan.receives()[i];
      const std::int64_t count = std::min(limit, peer.num_elements - at);
      if (count <= 0) continue;
      more = true;
      const Tensor buffer = memory.slice(0, 0, count * static_cast<std::int64_t>(width));
      comm.recv(buffer, peer.rank, message_tag, stream);
      const std::byte* out = buffer.raw_bytes();
      incoming[i].next(count, [&](std::int64_t, std::int64_t to, std::int64_t run) {
        to_space.for_each_piece(to, run, [&](std::byte* into, std::size_t count_bytes) {
          std::memcpy(into, out, count_bytes);
          out += count_bytes;
        });
      });
    }
  }
}

void execute(const ReshardPlan& plan, comm::Communicator& comm,
             std::initializer_list<Tensor> source, std::initializer_list<Tensor> destination) {
  execute(plan, comm, std::span<const Tensor>(source.begin(), source.size()),
          std::span<const Tensor>(destination.begin(), destination.size()));
}

}  // namespace concordat::parallel
