// What the ranks of the emulated NCCL tell each other: who joined a group, whose host asked for an
// operation, whose stream has come to it and with which operand. All of it is a Post, applied here
// and sent to the other processes that have a part in the group (network.cpp).
//
// @pre of all functions: the machine's lock is held.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine.hpp"

namespace cuda_emulator {

/// What all ranks of an operation must ask for alike.
struct Demand {
  int kind = 0;
  std::uint64_t count = 0;
  int type = 0;
  int op = 0;
  int root = 0;
  bool operator==(const Demand&) const = default;
};

/// An operation of a group: its nth collective, or the nth message from one rank to another.
struct MeetingKey {
  std::string group;
  int from = -1;
  int to = -1;  ///< both -1: a collective
  std::uint64_t nth = 0;
  auto operator<=>(const MeetingKey&) const = default;
};

struct Post {
  enum class Kind : std::uint8_t { joins, asks, comes, leaves };
  Kind kind = Kind::joins;
  MeetingKey key;
  int slot = 0;  ///< the rank; of a message 0 is the sender, 1 the receiver
  int slots = 0;
  Demand demand{};
  std::string text{};  ///< joins: who it is
  int process = 0;     ///< joins: where
  std::vector<std::byte> operand{};
};

class Launch;

struct Meeting {
  Demand demand{};
  bool demanded = false;
  std::vector<bool> asked;
  std::vector<bool> here;
  std::vector<std::vector<std::byte>> operands;
  std::vector<std::weak_ptr<Launch>> launches;  ///< of ranks in this process
  std::size_t local = 0;                        ///< ranks of this process that asked
  std::size_t taken = 0;
  bool abroad = false;  ///< a rank of another process has come
  bool complete() const;
  bool wanted_by_all() const;
};

/// A communicator's ranks, as far as they are known.
struct Group {
  std::vector<std::string> who;  ///< by rank; empty: has not joined
  std::vector<int> processes;    ///< by rank
  std::vector<bool> left;
  std::size_t local = 0;  ///< links of it in this process
  bool whole() const;
  bool deserted() const;
};

class Exchange {
 public:
  /// size 0: as it is known.
  Group& group(const std::string& id, int size);
  Meeting& meeting(const MeetingKey& key, int slots);
  /// Applies it here and tells the other processes.
  void post(const Post& post);
  void apply(const Post& post, bool from_abroad = true);
  /// A rank has its result: the last one of this process forgets the meeting.
  void take(const MeetingKey& key);
  /// The last link of this process forgets the group.
  void forget(const std::string& id);
  /// Drives what ranks of other processes have come to and this one has not. true: some of it is
  /// not done.
  bool serve();

 private:
  std::map<std::string, Group> groups_;
  std::map<MeetingKey, Meeting> meetings_;
};

Exchange& exchange();

}  // namespace cuda_emulator
