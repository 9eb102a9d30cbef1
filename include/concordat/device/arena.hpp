// Arena: scratch memory in stream order. One per stream; it never gives memory back until it dies.
//
//   {
//     ArenaScope scope(exec.arena);
//     Tensor tmp = exec.arena.take(Dtype::f32, {rows, width});   // content undefined
//     add(exec, tmp, a, b);
//   }  // tmp's memory is handed out again; stream order keeps the ops apart
//
// An Arena grows when it runs out, which happens in the first step. freeze() turns growth into a
// Bug: tests freeze after the first step to prove that a step allocates nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "concordat/core/stream.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::device {

class Backend;

class Arena {
 public:
  /// `backend` and `stream` must outlive the arena.
  Arena(Backend& backend, Stream& stream, std::size_t initial_bytes = 0);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Aligned to 64 bytes. Valid until the enclosing ArenaScope ends.
  Tensor take(Dtype dtype, Shape shape);
  void freeze() { frozen_ = true; }
  std::size_t capacity_bytes() const;
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  friend class ArenaScope;
  struct Mark {
    std::size_t chunk = 0;
    std::size_t used_bytes = 0;
  };
  Backend& backend_;
  Stream& stream_;
  std::vector<Tensor> chunks_;  // u8 [bytes]
  Mark mark_;
  std::size_t peak_bytes_ = 0;
  bool frozen_ = false;
};

/// Everything taken after it was made is returned when it ends. Scopes nest.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark_) {}
  ~ArenaScope() { arena_.mark_ = mark_; }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace concordat::device
