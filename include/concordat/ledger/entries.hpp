// What stands in a ledger: the kinds, their fields and the builders that both ends use, so that
// the audit can lay a site's ledger and the coordinator's side by side.
//
//   // before anything is sent: the decision, then the crossing with what was sealed
//   auto written = ledger.write(decision);
//   ... seal ...
//   ledger.append(crossing_entry({.kind = CrossingKind::header,
//                                 .direction = Direction::out,
//                                 .exchange = exchange, .manifest = manifest_digest,
//                                 .from = own_id, .to = coordinator_id,
//                                 .digest = sealed_digest, .message_bytes = sealed.size(),
//                                 .frame_bytes = all_frames, .decision = decision.id,
//                                 .facts = upload_facts(root, num_blocks)}));
//
// Rules that the audit checks
// - Every object that crosses has one entry at its sender (direction out, written before the first
//   send) and one at its recipient (direction in, written before it is acted on or acknowledged);
//   exchange, manifest, kind, from, to, index, digest, message_bytes, frame_bytes and all facts are
//   equal in both. A repeated send or receipt appends the same entry, which writes nothing.
// - An outgoing crossing names a decision that stands before it and permits its kind, exchange,
//   manifest, recipient and bytes. One crossing per decision.
// - Keys are made by the builders alone: a second entry for the same thing with other content is
//   Error(ledger.conflict). A ledger may hold several runs: it puts the scope of the run, which an
//   `agreement` entry opens, before the keys that follow (run_scope()).
// - Only the kinds below occur.
#pragma once

#include <span>

#include "concordat/crypto/keys.hpp"
#include "concordat/ledger/decision.hpp"
#include "concordat/ledger/entry.hpp"

namespace concordat::ledger {

/// Kinds of entries. A crossing's kind is that of its message, `upload` for a header.
namespace kinds {
inline constexpr std::string_view agreement = "agreement";    ///< run accepted by this party
inline constexpr std::string_view state = "state";            ///< state digest at a round's start
inline constexpr std::string_view decision = "decision";      ///< permitted
inline constexpr std::string_view refusal = "refusal";        ///< not permitted, or turned away
inline constexpr std::string_view commit = "commit";          ///< a site's upload is fixed
inline constexpr std::string_view checkpoint = "checkpoint";  ///< a generation was saved
inline constexpr std::string_view ingest = "ingest";          ///< a data set was made
inline constexpr std::string_view ready = "ready";
inline constexpr std::string_view manifest = "manifest";
inline constexpr std::string_view cosign = "cosign";
inline constexpr std::string_view go = "go";
inline constexpr std::string_view upload = "upload";
inline constexpr std::string_view survivors = "survivors";
inline constexpr std::string_view agree = "agree";
inline constexpr std::string_view aggregate = "aggregate";
inline constexpr std::string_view received = "received";
inline constexpr std::string_view closed = "closed";
inline constexpr std::string_view state_blocks = "state_blocks";  ///< a donor's state
inline constexpr std::string_view passed_on = "passed_on";  ///< coordinator: another's message
inline constexpr std::string_view forgone = "forgone";  ///< an aggregate that a site goes without
}  // namespace kinds

/// Inverse of ExchangeId::text(). @throws Error(ledger.malformed).
ExchangeId exchange_from(std::string_view text, std::string_view where);

/// The entry kind of a crossing: name_of(), but `upload` for CrossingKind::header.
std::string entry_kind(CrossingKind kind);
/// Whether entries of this kind are crossings; then `kind` is set.
bool is_crossing(std::string_view entry_kind, CrossingKind* kind = nullptr);

// ---- what a party accepts and does inside ----------------------------------------------------

struct AgreementFacts {
  Digest federation;     ///< digest of roster version 1
  Digest roster;         ///< digest of the roster in force
  Digest agreement;      ///< digest of the run agreement
  Digest initial_state;  ///< as in the agreement
  std::string self;      ///< party(own id)
  std::string name;      ///< own name in the roster
};
/// Once per agreement, before the first message of the run.
Entry agreement_entry(const AgreementFacts& facts);

/// What stands before the keys of a run's entries: sixteen hex digits of its agreement and "/".
std::string run_scope(const Digest& agreement);
/// The scope that a key in a log begins with; empty for entries outside of runs.
std::string_view scope_of(std::string_view key);

/// The state that the ranks of a site proved at the start of `round` (after the last round too).
Entry state_entry(Round round, const Digest& state, std::string_view generation);

struct CommitFacts {
  ExchangeId exchange;
  Digest manifest;
  Digest root;  ///< Merkle root of the block digests: equal to the upload's
  std::uint64_t num_blocks = 0;
  std::uint64_t num_ranks = 0;
  std::uint32_t lane_bits = 0;
  std::string try_nonce{};
  std::string generation{};
};
/// The border's reading of COMMIT, before the header is signed.
Entry commit_entry(const CommitFacts& facts);

/// A generation that a border or a solo run knows to be durable.
Entry checkpoint_entry(std::string_view run, std::string_view generation, std::uint64_t step,
                       Round round, const Digest& state, const Digest& manifest_file);

struct IngestFacts {
  std::string dataset;
  Digest manifest{};  ///< digest of the dataset's manifest: another ingest is another entry
  std::string language;
  std::string purpose;
  std::string source;  ///< folder or package, as the operator named it
  std::uint64_t documents = 0;
  std::uint64_t duplicates_dropped = 0;
  std::uint64_t train_documents = 0;
  std::uint64_t validation_documents = 0;
  std::uint64_t train_tokens = 0;
  std::uint64_t validation_tokens = 0;
  std::vector<std::pair<std::string, Digest>> shards{};  ///< file name, SHA-256 of the file
};
Entry ingest_entry(const IngestFacts& facts);

/// Refuses an `ingest` or `checkpoint` entry that ingest_entry() or checkpoint_entry() would not
/// have written, byte for byte; the key of a checkpoint may have the scope of a run before it.
/// @throws Error(ledger.malformed) naming the field; also for entries of any other kind.
void require_as_built(const Entry& entry, std::string_view where);

/// The entry that Ledger::write makes of a decision: kind `decision`, or `refusal`.
Entry decision_entry(const Decision& decision);

/// Something that was turned away: a replay, a second manifest, a broken envelope. `subject` names
/// the object (for example a digest) and makes the key; `code` is the error's.
Entry refusal_entry(std::string_view subject, std::string_view code, std::string_view reason);

// ---- what crosses ----------------------------------------------------------------------------

enum class Direction : std::uint8_t { out, in };

struct Crossing {
  CrossingKind kind{};
  Direction direction{};
  ExchangeId exchange{};
  Digest manifest{};  ///< as in the message's header
  SiteId from{};
  SiteId to{};
  std::uint32_t index = 0;
  Digest digest{};                  ///< SHA-256 of the sealed message
  std::uint64_t message_bytes = 0;  ///< of the sealed message
  std::uint64_t frame_bytes = 0;    ///< of all its sealed block frames; 0 without frames
  std::string decision{};           ///< id; only where direction is out
  Fields facts{};                   ///< from the functions below, the same at both ends
};
Entry crossing_entry(const Crossing& crossing);
/// Inverse, of any run's entry; fields that are no part of the frame come back as facts.
/// @throws Error(ledger.malformed).
Crossing crossing_from(const Entry& entry, std::string_view where);

/// The head of one ledger at one moment, as a `ready` states it.
struct Head {
  std::uint64_t size = 0;
  Digest root{};
  bool operator==(const Head&) const = default;
};
struct PartyHead {
  SiteId party{};
  Head head;
};

/// kind ready: the state and the head of the sender's own ledger.
Fields ready_facts(const Digest& state, const Head& own_ledger);
/// kind manifest: `document` is the digest that later headers carry. `heads`: what the `ready`
/// messages in it say; so every site is a witness of every other's ledger.
struct ManifestFacts {
  Digest document{};
  Digest roster{};
  Digest agreement{};
  Digest state{};
  Digest previous_closing{};
  std::uint32_t threshold = 0;
  std::vector<SiteId> participants{};
  std::vector<PartyHead> heads{};
};
Fields manifest_facts(const ManifestFacts& facts);
/// kind upload: signed root over the masked blocks.
Fields upload_facts(const Digest& root, std::uint64_t num_blocks);
/// kinds survivors and agree: digest of the survivors document and who is in it.
Fields survivors_facts(const Digest& document, std::span<const SiteId> survivors);
/// kind cosign: the site's signature over the manifest, for the audit to verify.
Fields cosign_facts(const crypto::Signature& signature);
/// kind aggregate: signed root over the summed blocks.
Fields aggregate_facts(const Digest& root);
/// kind received: root, sum of weights and the site's signature over both.
Fields received_facts(const Digest& root, std::uint64_t tokens, const crypto::Signature& signature);
/// kind closed: `document` is the closing record's digest, `tokens` the sum of weights W.
Fields closed_facts(const Digest& document, const Digest& root, std::uint64_t tokens,
                    std::span<const SiteId> survivors);

/// kind state_blocks: digest of the state that the manifest in the header names.
Fields state_facts(const Digest& state);

/// What the coordinator took from one site and keeps for another, without being able to open it.
struct PassedOn {
  CrossingKind kind{};
  ExchangeId exchange{};
  SiteId from{};
  SiteId to{};
  std::uint32_t index = 0;
  Digest digest{};
  std::uint64_t message_bytes = 0;
};
Entry passed_on_entry(const PassedOn& message);

/// A closed exchange that went without `site`, and whose aggregate that site has not. In the
/// coordinator's ledger: it is kept no longer, and the site had not said that it has it. In the
/// site's: it goes on from a donor's state.
struct ForgoneFacts {
  ExchangeId exchange{};
  Digest manifest{};
  SiteId site{};
  Digest root{};  ///< of the aggregate
};
Entry forgone_entry(const ForgoneFacts& facts);

/// "concordat/NAME/KEY": the origin of a party's log; KEY is eight hex digits of its log key.
std::string log_origin(std::string_view name, const crypto::VerifyKey& log_key);

/// "site-0,site-1": how lists of parties are written; ascending.
std::string parties(std::span<const SiteId> ids);
std::vector<SiteId> parties_from(std::string_view text, std::string_view where);

}  // namespace concordat::ledger
