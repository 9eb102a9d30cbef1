// Saver: generations that are written while training goes on.
//
//   Saver saver(comm, fs, system_clock(), run / "checkpoints");
//   while (train_step()) {
//     if (auto saved = saver.poll()) log::info("saved " + saved->name);
//     if (step % every == 0) saver.begin({.step = step}, state, metadata);   // copies, and returns
//   }
//   saver.finish();                                        // durable
//
// begin() takes a snapshot: every rank gets its part of every tensor in memory of its own, and
// training may change the tensors at once. A thread of each rank then writes and syncs the part
// while another hashes it. poll(), at step boundaries, takes the next step once all ranks' threads
// are done: leaves are gathered, rank 0's thread writes the manifest, `before_publish` is called,
// rank 0's thread gives the generation its name. No thread but the caller's calls the communicator.
//
// With a fast tier all of this happens first in a folder of each node, to which its ranks write,
// and then again, from the same snapshot, in the folder itself: only then is it a generation for
// the caller. `before_publish` is called once, before the first.
//
// Back-pressure: one generation is written at a time; begin() finishes the one before.
// Failure: what a rank's thread throws (disk full, an input or output error), all ranks throw from
// the next poll(), begin() or finish(). Nothing is published then, and the generations that were
// there stay; `.new-NAME` is left for the next save to sweep. So it is when a Saver is destroyed
// with a generation in flight: its thread stops at the next piece.
// Threads: one host thread a rank. Memory: 1 / ranks of the state, kept while the Saver lives.
#pragma once

#include <memory>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/core/clock.hpp"

namespace concordat::checkpoint {

class Saver {
 public:
  /// All must outlive it. The clock only measures.
  /// Collective if `fast` has a folder.
  Saver(comm::Communicator& comm, FileSystem& fs, const Clock& clock, Path folder,
        const FastTier& fast = {});
  ~Saver();
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  /// Collective. Allocates the snapshot of such tensors now and not at the first begin().
  void reserve(const std::vector<NamedTensor>& tensors);
  /// Collective. Takes the snapshot and starts to write it; arguments as of save_generation().
  /// Returns the generation before, if one was in flight and this call had to finish it.
  /// @throws Error(disk_full) before anything is written when the space does not suffice.
  std::optional<Saved> begin(const Position& position, const std::vector<NamedTensor>& tensors,
                             const Metadata& metadata, SaveOptions options = {});

  /// Whether begin() was called and no call returned its generation yet: the same on all ranks.
  bool in_flight() const { return job_ != nullptr; }
  /// Not collective: whether this rank's thread has work. Cheap.
  bool writing() const;

  /// Collective. The generation, once it is published. Cost: an all-reduce of four bytes while one
  /// is in flight.
  std::optional<Saved> poll();
  /// Collective. The same where the caller knows whether writing() is false on all ranks, from a
  /// reduction of its own; all ranks must pass the same. `false` costs nothing.
  std::optional<Saved> poll(bool all_written);
  /// Collective. Waits until the generation in flight is published; nullopt if there is none.
  std::optional<Saved> finish();

 private:
  struct Job;
  struct Thread;
  struct Tier {
    Path folder;
    bool fast = false;
    bool acts = false;  ///< this rank lays out, writes the manifest and gives the name
  };
  const Tier& tier() const;
  void choose_name(std::uint64_t step);
  void lay_out();
  void write_parts();
  void gather_parts();
  void give_names();
  std::optional<Saved> end_tier();
  std::optional<Saved> advance();
  void give_up() noexcept;

  comm::Communicator& comm_;
  FileSystem& fs_;
  const Clock& clock_;
  std::vector<Tier> tiers_;  ///< in the order of writing; the last is the folder itself
  std::unique_ptr<Thread> thread_;
  std::unique_ptr<Job> job_;
};

}  // namespace concordat::checkpoint
