// `concordat audit`: recomputes every ledger offline, from files and public keys alone.
#include <iostream>

#include "cli/command.hpp"
#include "concordat/audit/audit.hpp"
#include "concordat/federation/agreement.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat audit: what crossed each border, recomputed offline.\n\n"
         "usage:\n"
         "  concordat audit --roster roster.json [--agreement agreement.json]\n"
         "        --party NAME=FOLDER [--party NAME=FOLDER ...] [--json report.json]\n\n"
         "FOLDER is the folder of a site or of the coordinator (or a copy of its ledger/ folder);\n"
         "NAME is its name in the roster. Secrets are not needed and nothing is written but the\n"
         "report. The audit recomputes each ledger's Merkle root against its signed checkpoint,\n"
         "checks that a decision stands before every crossing and permits it, that both ends\n"
         "recorded the same object, and that manifests, commits, uploads, aggregates and closing\n"
         "records agree between all parties. Without a member's ledger the audit is partial: what\n"
         "the member signed is still verified, what it recorded is not, and the verdict names "
         "it.\n"
         "Without --agreement a note says what was assumed of it.\n\n"
         "exit code: 0 no fault (the verdict says if in part), 65 something does not verify (each\n"
         "fault with file and line)\n";
}

audit::AuditParty party(const federation::Roster& roster, const std::string& text) {
  std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw Error(errors::usage, {.what = "a party needs a name and a folder",
                                .where = "concordat audit --party",
                                .found = text,
                                .expected = "NAME=FOLDER",
                                .remedy = "concordat audit --help"});
  }
  std::string name = text.substr(0, equals);
  std::filesystem::path folder = text.substr(equals + 1);
  if (posix_files().is_directory(folder / "ledger")) folder /= "ledger";
  bool hub = name == roster.coordinator.name;
  SiteId id = hub ? coordinator_id : roster.id_of(name);
  return {.id = id, .name = name, .ledger_folder = folder, .log_key = roster.at(id).log};
}

int run(const Args& args) {
  Flags flags("audit", args, {"roster", "agreement", "party", "json"});
  flags.expect_positional({});
  auto roster = federation::load_roster(posix_files(), flags.required("roster"));
  audit::AuditInput input;
  input.federation = roster.federation();
  if (flags.given("agreement")) {
    const auto run = federation::load_agreement(posix_files(), flags.required("agreement"), roster);
    input.agreement = run.digest;
    input.minimum = run.agreement.minimum;
    input.colluding = run.agreement.colluding;
  }
  const federation::Roster& members = roster.roster;
  input.roster.push_back({coordinator_id, members.coordinator.name, members.coordinator.verify});
  for (std::uint32_t i = 0; i < members.num_sites(); ++i) {
    input.roster.push_back({SiteId{i}, members.sites[i].name, members.sites[i].verify});
  }
  flags.required("party");
  for (const std::string& text : flags.values("party")) {
    input.parties.push_back(party(roster.roster, text));
  }
  audit::AuditReport report = audit::run_audit(posix_files(), input);
  std::cout << report.text();
  if (flags.given("json")) {
    write_atomically(posix_files(), flags.required("json"), as_bytes(report.json()));
  }
  return static_cast<int>(report.exit_code());
}

}  // namespace

const Command audit_command{"audit", "recompute every ledger offline and say what crossed", help,
                            run};

}  // namespace concordat::cli
