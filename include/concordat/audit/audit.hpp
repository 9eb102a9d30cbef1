// The offline audit: recomputes everything from ledgers and public keys alone, opens no socket,
// needs no secret, writes nothing.
//
//   AuditInput input;
//   input.roster = {{coordinator_id, "hub", hub.verify}, {SiteId{0}, "alba", alba.verify}, ...};
//   input.parties.push_back({coordinator_id, "hub", "hub/ledger", hub.log});
//   input.parties.push_back({SiteId{0}, "alba", "alba/ledger", alba.log});
//   AuditReport report = run_audit(posix_files(), input);
//   std::cout << report.text();            // or report.json()
//   return report.exit_code();             // 0, or 65 if something does not verify
//
// A member of the roster whose ledger is not given makes the audit partial: what it signed is
// verified by its key in the roster, what it recorded is not seen, and the verdict says so.
//
// What it checks (docs/formats/ledger.md lists each check by name)
// - each ledger: strict lines, unique keys, Merkle root against the signed checkpoint
// - heads that others saw (in `ready` and `manifest`): a rolled back or forked ledger
// - every crossing: one decision before it that permits it, in bytes too; the same entry at the
//   other end; facts (manifest, roots, state digests, survivors) equal between all parties
// - every cosignature and every `received` against its site's key in the roster
// - every party of a crossing and the participants of every manifest against the roster
// - every exchange: its steps in order, commit root = upload root, one aggregate, one closing
// What it cannot show is printed with the verdict: that the kernel, the network policy and the
// clocks at a site are honest, or that an instrumented road is the only road.
//
// Cost: linear in the entries. Failure: only files that cannot be read throw; all else is a fault.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/ledger/verify.hpp"

namespace concordat::audit {

struct AuditParty {
  SiteId id{};  ///< coordinator_id for the coordinator
  std::string name;
  FileSystem::Path ledger_folder;
  crypto::VerifyKey log_key{};
};

/// A member of the roster, whether its ledger is given or not.
struct AuditMember {
  SiteId id{};  ///< coordinator_id for the coordinator
  std::string name;
  crypto::VerifyKey verify_key{};  ///< signs its statements
};

struct AuditInput {
  std::vector<AuditParty> parties;    ///< any order; who is missing makes the audit partial
  std::vector<AuditMember> roster{};  ///< all members; empty: no signature is verified, and partial
  Digest federation{};                ///< zero: not checked
  Digest agreement{};                 ///< the run to audit; zero: the newest in the first ledger
  /// Of the run agreement: fewest participants and colluding sites. No ledger has them; without
  /// them 3 and 1 are assumed, and a note says so.
  std::optional<std::uint32_t> minimum{};
  std::optional<std::uint32_t> colluding{};
};

/// Bytes that left one party, by entry kind.
struct CrossingTotal {
  std::uint64_t num_messages = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t frame_bytes = 0;
};

struct LedgerSummary {
  SiteId party{};
  std::string name;
  std::string file;
  std::uint64_t num_entries = 0;
  std::uint64_t num_signed = 0;  ///< covered by the checkpoint
  Digest root{};                 ///< recomputed, of all entries
  std::uint64_t num_decisions = 0;
  std::uint64_t num_refusals = 0;
  std::map<std::string, CrossingTotal> out{};  ///< by entry kind
  std::map<std::string, CrossingTotal> in{};
};

struct ExchangeSummary {
  ExchangeId id{};
  Digest manifest{};
  Digest state{};      ///< that every participant proved at its start
  Digest aggregate{};  ///< root
  std::uint64_t tokens = 0;
  bool closed = false;
};

struct CheckCount {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
};

struct AuditReport {
  std::vector<LedgerSummary> ledgers;
  std::vector<ExchangeSummary> exchanges;
  std::map<std::string, CheckCount> checks;  ///< by name; done counts failed ones too
  std::vector<ledger::Fault> faults;         ///< what does not verify
  std::vector<std::string> notes;            ///< what is not wrong but should be known
  Digest final_state{};                      ///< of the last round that all sites proved
  std::vector<std::string> not_given;        ///< members without a ledger here, the hub first
  bool has_roster = false;                   ///< false: no signature was verified
  /// Something that a whole audit looks at was not given.
  bool partial() const { return !not_given.empty() || !has_roster; }
  bool has_faults() const { return !faults.empty(); }
  /// Everything was given and everything holds.
  bool verified() const { return !has_faults() && !partial(); }
  /// A partial audit without a fault exits 0: its verdict says what was not looked at.
  ExitCode exit_code() const { return has_faults() ? ExitCode::data : ExitCode::done; }
  /// One line: "verified: 4 ledgers, ...", "verified in part: brio's ledger was not given; ..." or
  /// "NOT verified: 2 of 1234 checks failed".
  std::string verdict() const;
  std::string text() const;
  std::string json() const;
};

AuditReport run_audit(FileSystem& fs, const AuditInput& input);

}  // namespace concordat::audit
