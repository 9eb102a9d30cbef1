// Launch: what one group call of the emulated NCCL puts into one stream.
#pragma once

#include <memory>
#include <vector>

#include "exchange.hpp"
#include "nccl.h"

namespace cuda_emulator {

enum class Kind { all_reduce, reduce, broadcast, reduce_scatter, all_gather, message };

/// A communicator as one rank has it.
struct LinkObject {
  std::string group;
  int size = 0;
  int rank = 0;
  int device = 0;
  bool ready = false;
  bool aborted = false;
  bool finalised = false;
  ncclResult_t broken = ncclSuccess;  ///< an error that came by itself
  int looks = 0;                      ///< since something was asked of it
  std::uint64_t collectives = 0;
  std::map<std::pair<int, int>, std::uint64_t> messages;  ///< by (from, to)
  std::vector<std::shared_ptr<Launch>> pending;           ///< not yet in their streams
  std::vector<std::weak_ptr<Launch>> launched;
};

/// One operation of a launch.
struct Operation {
  Kind kind = Kind::all_reduce;
  const void* from = nullptr;
  void* to = nullptr;
  Demand demand{};
  MeetingKey key{};
  int slot = 0;
  int slots = 0;
  bool receives = false;  ///< a message
};

class Launch final : public SharedWork, public std::enable_shared_from_this<Launch> {
 public:
  Launch(std::shared_ptr<const LinkObject> link, StreamObject* stream)
      : link_(std::move(link)), stream_(stream) {}
  std::vector<Operation> operations;

  bool advance() override;
  /// Drives its stream until it has come, as far as that goes.
  void bring_here();
  /// Drives its stream until it is done, as far as that goes. true: it is.
  bool finish_here();
  bool done() const { return done_; }
  StreamObject* stream() const { return stream_; }
  /// The first operation of its kind in a group is asked for everywhere before any goes on.
  bool connected() const;

 private:
  void come();
  void finish(const Operation& operation);
  std::shared_ptr<const LinkObject> link_;
  StreamObject* stream_;
  bool here_ = false;
  bool done_ = false;
};

}  // namespace cuda_emulator
