// A federation in memory: keys, signed documents, and a run of n sites and a coordinator whose
// messages a seeded scheduler delivers, doubles, reorders and interrupts by restarts.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/federation/coordinator_exchange.hpp"
#include "concordat/federation/site_exchange.hpp"

namespace concordat::federation::test {

inline crypto::SigningKey signing(std::uint8_t number) {
  return crypto::SigningKey::from_seed(Bytes(32, number));
}

inline crypto::SealKey seal_key(std::uint8_t number) {
  return crypto::OpeningKey::from_private(Bytes(32, number)).seal_key();
}

inline Digest digest_of(std::string_view text) { return crypto::sha256(as_bytes(text)); }

inline Member member(const std::string& name, std::uint8_t number) {
  Member one;
  one.name = name;
  one.jurisdiction = "DE";
  one.verify = signing(number).verify_key();
  one.seal = seal_key(static_cast<std::uint8_t>(number + 1));
  one.tls = signing(static_cast<std::uint8_t>(number + 2)).verify_key();
  one.log = signing(static_cast<std::uint8_t>(number + 3)).verify_key();
  return one;
}

inline std::uint8_t site_number(std::uint32_t site) {
  return static_cast<std::uint8_t>(10 + 10 * site);
}
constexpr std::uint8_t hub_number = 200;

inline Roster example_roster(std::uint32_t num_sites) {
  Roster roster;
  roster.name = "three-seas";
  for (std::uint32_t i = 0; i < num_sites; ++i) {
    roster.sites.push_back(
        member(std::string(1, static_cast<char>('a' + i)) + "lba", site_number(i)));
  }
  roster.coordinator = member("hub", hub_number);
  roster.address = "hub.example.org:7443";
  return roster;
}

/// Everybody's signature over the document, as the `.sigs` file would hold them.
inline Signatures sign_by_all(DocumentKind kind, ByteView document, const Roster& roster) {
  Signatures all;
  for (std::uint32_t i = 0; i < roster.num_sites(); ++i) {
    all.push_back(sign_document(kind, document, roster.sites[i].name, signing(site_number(i))));
  }
  all.push_back(sign_document(kind, document, roster.coordinator.name, signing(hub_number)));
  return all;
}

inline SignedRoster signed_roster(std::uint32_t num_sites) {
  Roster roster = example_roster(num_sites);
  Bytes document = encode(roster);
  return open_roster(document, sign_by_all(DocumentKind::roster, document, roster), "roster.json");
}

inline RunAgreement example_agreement(const SignedRoster& roster) {
  RunAgreement agreement;
  agreement.run = "demo";
  agreement.seed = 7;
  agreement.rounds = 2;
  agreement.inner_steps = 3;
  agreement.settings = {{"inner.rate", real_text(3e-3)}, {"model.layers", "2"}};
  agreement.scales.summed_rates = 0.009;
  agreement.weight_cap = 10'000;
  agreement.block_log2 = 10;
  agreement.minimum = 3;
  agreement.num_elements = 2500;
  agreement.initial_state = digest_of("initial state");
  agreement.roster = roster.digest;
  return agreement;
}

inline SignedAgreement signed_agreement(const SignedRoster& roster) {
  Bytes document = encode(example_agreement(roster));
  return open_agreement(document, sign_by_all(DocumentKind::agreement, document, roster.roster),
                        roster, "agreement.json");
}

/// One run. `intercept` sees every message before it is delivered and may change or drop it: that
/// is how parties lie.
class World {
 public:
  using Intercept = std::function<bool(border::Header&, Bytes&)>;

  World(std::uint32_t num_sites, std::uint64_t seed, bool disturb)
      : roster(signed_roster(num_sites)),
        agreement(signed_agreement(roster)),
        random_(seed),
        disturb_(disturb),
        site_journals_(num_sites) {
    begin(Round{0}, {});
  }

  void begin(Round round, const Chain& chain) {
    sites.clear();
    queue_.clear();
    for (auto& journal : site_journals_) journal.clear();
    hub_journal_.clear();
    terms_ = exchange_terms(roster, agreement, round, chain);
    for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) sites.push_back(make_site(i));
    hub.emplace(terms_);
  }

  ReadyBody ready_of(std::uint32_t site) const {
    ReadyBody ready;
    ready.round = terms_.exchange.round;
    ready.state =
        terms_.exchange.round == Round{0} ? agreement.agreement.initial_state : digest_of("state");
    // One ledger entry more each round: a tree of one leaf grows by that leaf again.
    std::vector<Digest> leaves(terms_.exchange.round.value() + 1U, digest_of("leaf"));
    ready.ledger = {leaves.size(), crypto::merkle_root(leaves)};
    if (!terms_.previous.heads.empty() && terms_.previous.heads[site].size > 0) {
      ready.consistency = crypto::consistency_path(leaves, terms_.previous.heads[site].size);
    }
    auto round = static_cast<std::uint8_t>(terms_.exchange.round.value());
    auto number = static_cast<std::uint8_t>(100 + 3 * site + 20 * round);
    ready.mask = seal_key(number);
    ready.share = seal_key(static_cast<std::uint8_t>(number + 1));
    return ready;
  }

  border::Header ready_header(std::uint32_t site) const {
    return {terms_.federation,
            terms_.exchange,
            terms_.agreement,
            SiteId(site),
            coordinator_id,
            border::MessageType::ready,
            0};
  }

  /// Delivers until nothing is left to do.
  void run() {
    for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) {
      if (sites[i].phase() == SitePhase::idle && !absent.contains(i)) {
        to_site(i, Start{ready_of(i)});
      }
    }
    // Some too early and, disturbed, one between any two readies.
    for (int i = 0; !absent.empty() && i < (disturb_ ? 4 : 1); ++i) {
      queue_.emplace_back(std::nullopt, Deadline{});
    }
    int turns = 0;
    while (!queue_.empty() || (!absent.empty() && hub->may_go_on())) {
      if (++turns > 100'000) throw Bug("what is out of turn never comes into its turn");
      if (queue_.empty()) queue_.emplace_back(std::nullopt, Deadline{});
      std::size_t pick = disturb_ ? random_() % queue_.size() : 0;
      auto event = queue_[pick];
      // A doubled delivery stays in the queue for later.
      if (!disturb_ || random_() % 4 != 0) {
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(pick));
      }
      deliver(event.first, event.second);
      if (disturb_ && random_() % 10 == 0) restart_somebody();
    }
  }

  /// Loses what is under way.
  void drop_queued() { queue_.clear(); }

  bool all_closed() const {
    for (const SiteExchange& site : sites) {
      if (site.phase() != SitePhase::closed) return false;
    }
    return hub->phase() == CoordinatorPhase::closed;
  }

  /// Every party again from its journal: the same machine, byte for byte.
  void check_replays() {
    for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) {
      SiteExchange again = make_site(i);
      for (const Bytes& event : site_journals_[i]) again.handle(decode_event(event));
      if (again.snapshot() != sites[i].snapshot()) throw Bug("site replay differs");
    }
    CoordinatorExchange again(terms_);
    for (const Bytes& event : hub_journal_) again.handle(decode_event(event));
    if (again.snapshot() != hub->snapshot()) throw Bug("coordinator replay differs");
  }

  void to_site(std::uint32_t i, const Event& event) {
    Effects effects = sites[i].handle(event);
    site_journals_[i].push_back(encode(event));
    for (const Effect& effect : effects) perform_site(i, effect);
  }

  void to_hub(const Event& event) {
    Effects effects = hub->handle(event);
    hub_journal_.push_back(encode(event));
    for (const Effect& effect : effects) perform_hub(effect);
  }

  border::FrameTable upload_of(std::uint32_t site) const {
    return terms_.table(digest_of("upload " + std::to_string(site)));
  }
  border::FrameTable sum() const { return terms_.table(digest_of("sum")); }

  const ExchangeTerms& terms() const { return terms_; }
  SignedRoster roster;
  SignedAgreement agreement;
  std::vector<SiteExchange> sites;
  std::optional<CoordinatorExchange> hub;
  Intercept intercept;
  std::set<std::uint32_t> absent;  ///< sites that say no ready; the deadline goes by
  bool gone = false;               ///< aggregates are kept for no site that missed them
  int too_late = 0;                ///< readies that were turned away for that

 private:
  SiteExchange make_site(std::uint32_t i) {
    auto signer = [key = std::make_shared<crypto::SigningKey>(signing(site_number(i)))](
                      ByteView statement) { return key->sign(statement); };
    return SiteExchange(terms_, SiteId(i), signer);
  }

  // An event for a machine: site index, or none for the coordinator.
  using Queued = std::pair<std::optional<std::uint32_t>, Event>;

  void deliver(std::optional<std::uint32_t> to, const Event& event) {
    try {
      if (to) {
        to_site(*to, event);
      } else {
        to_hub(event);
      }
    } catch (const Error& error) {
      // The manifest was made without this site, which hears of it in time.
      const auto* late = std::get_if<Incoming>(&event);
      if (error.code() == errors::too_late && disturb_ && late != nullptr &&
          std::ranges::binary_search(hub->missed(), late->header.sender)) {
        ++too_late;
        return;
      }
      // Reordered, or faster than a download: whoever sent it tries again later.
      if (!(error.code() == errors::out_of_turn) || !(disturb_ || !absent.empty())) throw;
      queue_.emplace_back(to, event);
    }
  }

  void perform_site(std::uint32_t i, const Effect& effect) {
    if (const auto* message = std::get_if<Send>(&effect)) {
      send(std::nullopt, *message);
    } else if (std::holds_alternative<ReleaseSecrets>(effect)) {
      queue_.emplace_back(i, Committed{upload_of(i)});
    } else if (gone && sites[i].missed() && std::holds_alternative<FetchAggregate>(effect)) {
      queue_.emplace_back(i, Forgone{});
    } else if (const auto* fetch = std::get_if<FetchAggregate>(&effect)) {
      queue_.emplace_back(i, AggregateStored{fetch->table.root, 4321});
    }
  }

  void perform_hub(const Effect& effect) {
    if (const auto* message = std::get_if<Send>(&effect)) {
      send(message->header.recipient.value(), *message);
    } else if (const auto* upload = std::get_if<AcceptUpload>(&effect)) {
      queue_.emplace_back(std::nullopt, UploadStored{upload->site});
    } else if (std::holds_alternative<Sum>(effect)) {
      queue_.emplace_back(std::nullopt, Summed{sum(), 4321});
    }
  }

  void send(std::optional<std::uint32_t> to, const Send& message) {
    Incoming event{message.header, message.body};
    if (intercept && !intercept(event.header, event.body)) return;
    queue_.emplace_back(to, event);
  }

  void restart_somebody() {
    std::size_t who = random_() % (sites.size() + 1);
    if (who == sites.size()) {
      CoordinatorExchange again(terms_);
      for (const Bytes& event : hub_journal_) again.handle(decode_event(event));
      if (again.snapshot() != hub->snapshot()) throw Bug("a restarted coordinator differs");
      hub.emplace(std::move(again));
      return;
    }
    SiteExchange again = make_site(static_cast<std::uint32_t>(who));
    for (const Bytes& event : site_journals_[who]) again.handle(decode_event(event));
    if (again.snapshot() != sites[who].snapshot()) throw Bug("a restarted site differs");
    sites[who] = std::move(again);
  }

  std::mt19937_64 random_;
  bool disturb_;
  ExchangeTerms terms_;
  std::deque<Queued> queue_;
  std::vector<std::vector<Bytes>> site_journals_;
  std::vector<Bytes> hub_journal_;
};

/// The error that `act` ends in; fails the test if it does not end in one.
template <typename Act>
Error error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  throw Bug("nothing was refused");
}

}  // namespace concordat::federation::test
