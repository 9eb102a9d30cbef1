// StateRelay: messages of type 18, from one site to another, on their way through the coordinator,
// which cannot open them.
//
//   StateRelay relay(office);                        // finds what an earlier process kept
//   relay.accept(wire, digest, context);             // durable, decided and in the ledger
//   if (relay.has(to)) envelope = relay.front(to, context);
//   relay.acknowledged(to, digest);                  // gone
//
// A recipient's messages lie in one folder, in the order in which they came; no more than
// max_kept() of them, so a donor goes as fast as its recipient. Threads: the caller's lock.
#pragma once

#include <deque>

#include "coordinator/sender.hpp"

namespace concordat::coordinator {

class StateRelay {
 public:
  explicit StateRelay(Office& office);
  static constexpr std::size_t max_kept() { return 32; }

  /// A message that is here already is not kept twice.
  /// @throws Error(border.* | ledger.refused | coordinator.relay_full).
  void accept(ByteView wire, const Digest& digest, const governance::PolicyContext& context);
  bool has(SiteId to) const;
  /// @pre has(to).
  border::Envelope front(SiteId to, const governance::PolicyContext& context);
  void acknowledged(SiteId by, const Digest& digest);

 private:
  struct Kept {
    Digest digest;
    FileSystem::Path path;
    std::uint64_t number = 0;
  };
  FileSystem::Path folder(SiteId to) const;
  ledger::Written<ledger::Decision> permit(const border::Header& header, std::uint64_t bytes,
                                           const governance::PolicyContext& context);

  Office& office_;
  std::map<SiteId, std::deque<Kept>> kept_;
};

}  // namespace concordat::coordinator
