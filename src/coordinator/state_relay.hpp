// StateRelay: messages of type 18, from one site to another, on their way through the coordinator,
// which cannot open them.
//
//   StateRelay relay(office);                        // finds what an earlier process kept
//   relay.accept(wire, digest, context);             // durable, decided and in the ledger
//   if (relay.has(to)) envelope = relay.front(to, context);
//   relay.acknowledged(to, digest);                  // gone
//
// A recipient's messages lie in one folder, in the order in which they came; no more than
// max_kept() of them from one sender, so a donor goes as fast as its recipient and nobody stands in
// its way. What it passes on is of an exchange that it closed, and one message under an identity:
// a member that sends what it likes fills neither disk nor ledger. Threads: the caller's lock.
#pragma once

#include <deque>

#include "coordinator/sender.hpp"

namespace concordat::coordinator {

class StateRelay {
 public:
  explicit StateRelay(Office& office);
  static constexpr std::size_t max_kept() { return 32; }

  /// A message that is here already is not kept twice.
  /// @throws Error(border.* | coordinator.not_passed_on | coordinator.relay_full).
  void accept(ByteView wire, const Digest& digest, governance::PolicyContext context);
  bool has(SiteId to) const;
  /// @pre has(to).
  border::Envelope front(SiteId to, governance::PolicyContext context);
  void acknowledged(SiteId by, const Digest& digest);

 private:
  struct Kept {
    Digest digest;
    FileSystem::Path path;
    std::uint64_t number = 0;
    SiteId from{};
  };
  FileSystem::Path folder(SiteId to) const;
  governance::DonationView closed_here(const ExchangeId& exchange) const;
  void require_only(const ledger::Entry& entry, const border::Header& header,
                    const Digest& digest) const;

  Office& office_;
  std::map<SiteId, std::deque<Kept>> kept_;
};

}  // namespace concordat::coordinator
