// The offline audit: recomputes everything from ledgers and public keys alone, opens no socket,
// needs no secret, writes nothing.
//
//   AuditInput input;
//   input.parties.push_back({coordinator_id, "coordinator", "coord/ledger", coord.log});
//   input.parties.push_back({SiteId{0}, "alba", "alba/ledger", alba.log});
//   AuditReport report = run_audit(posix_files(), input);
//   std::cout << report.text();            // or report.json()
//   return report.exit_code();             // 0, or 65 if something does not verify
//
//   // with .verify_key given, a site's own signatures are verified too
//
// What it checks (docs/formats/ledger.md lists each check by name)
// - each ledger: strict lines, unique keys, Merkle root against the signed checkpoint
// - heads that others saw (in `ready` and `manifest`): a rolled back or forked ledger
// - every crossing: one decision before it that permits it, in bytes too; the same entry at the
//   other end; facts (manifest, roots, state digests, survivors) equal between all parties
// - every cosignature and every `received` against the site's public key
// - every exchange: its steps in order, commit root = upload root, one aggregate, one closing
// What it cannot show is printed with the verdict: that the kernel, the network policy and the
// clocks at a site are honest, or that an instrumented road is the only road.
//
// Cost: linear in the entries. Failure: only files that cannot be read throw; all else is a fault.
#pragma once

#include <map>
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
  crypto::VerifyKey verify_key{};  ///< signs its statements; zero: they are not verified, and noted
};

struct AuditInput {
  std::vector<AuditParty> parties;  ///< any order; a missing party weakens cross-checks and is said
  Digest federation{};              ///< zero: not checked
  Digest agreement{};               ///< the run to audit; zero: the newest in the first ledger
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
  bool verified() const { return faults.empty(); }
  ExitCode exit_code() const { return verified() ? ExitCode::done : ExitCode::data; }
  /// One line: "verified: 3 sites, ..." or "NOT verified: 2 of 1234 checks failed".
  std::string verdict() const;
  std::string text() const;
  std::string json() const;
};

AuditReport run_audit(FileSystem& fs, const AuditInput& input);

}  // namespace concordat::audit
