// Decision: the policy's answer to one request to cross the border. Written<T>: the proof that a
// T is durable in the ledger; sealing (`border`) takes one and uses it up.
//
//   Decision decision = governance::decide(request, context);
//   Written<Decision> written = ledger.write(decision);      // durable, or an exception
//   Envelope e = seal_message(std::move(written), header, body, ...);
//
// A crash between the decision and the sealing is harmless: the restart decides the same, finds
// its own entry and gets a Written again. The audit demands at most one crossing per decision id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "concordat/core/bytes.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/ids.hpp"

namespace concordat::ledger {

/// What crosses: the message numbers of an exchange. `border::MessageType` has the same numbers,
/// so `static_cast` between the two is the whole conversion.
enum class CrossingKind : std::uint8_t {
  ready = 1,
  manifest = 2,
  cosign = 3,
  go = 4,
  header = 6,  ///< with its block frames: one upload, one decision
  survivors = 7,
  agree = 8,
  unmask_request = 9,
  unmask = 10,
  aggregate = 11,  ///< with its block frames
  received = 12,
  closed = 13,
  withdraw = 14,
  block = 16,
  ack = 17,
  state_blocks = 18,
};

/// "ready", "manifest", ..., "header"; "kind-N" for a number without a name.
std::string name_of(CrossingKind kind);

/// "coordinator" or "site-N": how ledgers name parties.
std::string party(SiteId id);
/// @throws Error(ledger.malformed).
SiteId party_from(std::string_view text, std::string_view where);

struct Decision {
  CrossingKind kind{};
  ExchangeId exchange{};
  Digest manifest{};  ///< of the message's header; zero where none exists yet
  SiteId recipient{};
  std::uint64_t max_bytes = 0;  ///< of the sealed message and its frames together
  std::string id;               ///< decision_id() of what is asked for
  bool permitted = false;
  std::string rule;    ///< stable name of the rule that decided
  std::string reason;  ///< for people
  bool operator==(const Decision&) const = default;
};

/// The id that every decision about this object has, also after a restart:
/// "KIND/R.F.A/RECIPIENT/INDEX".
std::string decision_id(CrossingKind kind, ExchangeId exchange, SiteId recipient,
                        std::uint32_t index = 0);

/// Proof that `T` is durable in a ledger. Only the ledger makes one; it moves, it does not copy,
/// and it is used once. Threads: a value, used by one thread at a time.
template <typename T>
class Written {
 public:
  Written(Written&& other) noexcept
      : value_(std::move(other.value_)),
        index_(other.index_),
        usable_(std::exchange(other.usable_, false)) {}
  Written& operator=(Written&& other) noexcept {
    if (this != &other) {
      value_ = std::move(other.value_);
      index_ = other.index_;
      usable_ = std::exchange(other.usable_, false);
    }
    return *this;
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  /// What was written. @pre not used or moved from.
  const T& value() const {
    CONCORDAT_REQUIRE(usable_, "ledger entry " + std::to_string(index_) + " was used before");
    return value_;
  }
  /// Index of the entry in the ledger that made this.
  std::uint64_t index() const { return index_; }
  /// Uses it up. @pre not used or moved from.
  T take() && {
    CONCORDAT_REQUIRE(usable_, "ledger entry " + std::to_string(index_) + " was used before");
    usable_ = false;
    return std::move(value_);
  }

 private:
  friend class Ledger;
  Written(T value, std::uint64_t index) : value_(std::move(value)), index_(index), usable_(true) {}
  T value_;
  std::uint64_t index_;
  bool usable_;
};

}  // namespace concordat::ledger
