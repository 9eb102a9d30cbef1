// Keys, the two signed documents, and datasets.
#include <algorithm>

#include "cli/doctor_checks.hpp"
#include "concordat/crypto/certificate.hpp"
#include "concordat/data/dataset.hpp"
#include "concordat/federation/errors.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli::doctor {
namespace {

void check_public_file(Findings& findings, FileSystem& fs, const Path& folder,
                       const crypto::SiteKeys& keys) {
  const Path path = folder / (keys.name + ".pub");
  if (!fs.exists(path)) {
    findings.push_back(warn("keys",
                            path.string() + " is missing: training cannot compare it with "
                                            "the roster",
                            "restore it from the copy that was handed out"));
    return;
  }
  if (crypto::load_public_keys(fs, path) == keys.public_keys()) return;
  findings.push_back(fail("keys", path.string() + " shows other keys than lie beside it",
                          "restore the whole folder from one backup"));
}

void check_certificate(Findings& findings, const crypto::SiteKeys& keys) {
  const auto identity = crypto::make_tls_identity(keys.tls, keys.name);
  if (crypto::certificate_key(identity.certificate_der) != keys.tls.verify_key()) {
    findings.push_back(fail("keys", "the TLS certificate carries another key than the key file",
                            "check the installation of OpenSSL"));
    return;
  }
  findings.push_back(ok("keys", "TLS certificate of " + keys.name +
                                    ": made from the key, pinned "
                                    "by it and without a last day; peers pin sha256 " +
                                    crypto::spki_digest(keys.tls.verify_key()).hex().substr(0, 16) +
                                    "..."));
}

std::string member_text(const federation::SignedRoster& roster) {
  return "roster " + roster.roster.name + ": " + std::to_string(roster.roster.num_sites()) +
         " sites, every signature verifies";
}

}  // namespace

KeyCheck check_keys(FileSystem& fs, const Path& folder, const std::string& name) {
  KeyCheck check;
  if (!fs.is_directory(folder)) {
    check.findings.push_back(fail("keys", "there are no keys in " + folder.string(),
                                  "concordat keys create --name " + name + " --folder " +
                                      folder.string() + ", or correct the folder's path"));
    return check;
  }
  attempt(check.findings, "keys", [&] {
    crypto::require_private(fs, folder);
    crypto::SiteKeys keys = crypto::load_site_keys(fs, folder);
    if (keys.name != name) {
      check.findings.push_back(fail(
          "keys", "the keys in " + folder.string() + " are " + keys.name + "'s, not " + name + "'s",
          "correct the name or the folder in the configuration"));
      return;
    }
    check.findings.push_back(ok(
        "keys", "all six key files of " + name + " are whole, and only this user can read them"));
    check_public_file(check.findings, fs, folder, keys);
    check_certificate(check.findings, keys);
    check.keys.emplace(std::move(keys));
  });
  return check;
}

DocumentCheck check_documents(FileSystem& fs, const DocumentRequest& request,
                              const crypto::SiteKeys* keys) {
  DocumentCheck check;
  attempt(check.findings, "keys", [&] {
    check.roster = federation::load_roster(fs, request.roster);
    check.findings.push_back(ok("keys", member_text(*check.roster)));
  });
  if (!check.roster) return check;
  attempt(check.findings, "keys", [&] {
    const SiteId id = check.roster->roster.id_of(request.name);
    if ((id == coordinator_id) != request.coordinator) {
      check.findings.push_back(fail("keys",
                                    request.name + " is " + check.roster->roster.text_of(id) +
                                        " in the roster, and this is the configuration of " +
                                        (request.coordinator ? "the coordinator" : "a site"),
                                    "correct the name in the configuration"));
      return;
    }
    if (keys == nullptr) return;
    federation::require_member(*check.roster, keys->public_keys());
    check.findings.push_back(
        ok("keys", "the keys here are those of " + check.roster->roster.text_of(id)));
  });
  attempt(check.findings, "keys", [&] {
    check.agreement = federation::load_agreement(fs, request.agreement, *check.roster);
    const std::string& run = check.agreement->agreement.run;
    if (!request.run.empty() && run != request.run) {
      check.findings.push_back(fail(
          "keys", "the agreement is of run " + run + ", the configuration of run " + request.run,
          "set run.name to the agreement's, or leave it out"));
    } else {
      check.findings.push_back(
          ok("keys", "agreement of run " + run + ": every signature verifies"));
    }
  });
  return check;
}

Findings check_data(FileSystem& fs, const DataRequest& request, ByteView data_key) {
  Findings findings;
  if (request.names.empty()) {
    findings.push_back(warn("data", "data.datasets names nothing to train on",
                            "run concordat ingest, then name its dataset in data.datasets"));
  }
  for (const std::string& name : request.names) {
    attempt(findings, "data", [&] {
      auto set = data::Dataset::open(fs, request.folder / name, data_key, data::Split::train, 1);
      data::require_vocabulary(set.manifest(), request.tokenizer, request.vocabulary);
      set.sample(0, request.length);  // opens what it reads
      if (request.every_byte) data::verify_shard_files(fs, request.folder / name, set.manifest());
      findings.push_back(ok(
          "data", "dataset " + name + ": the manifest verifies, " +
                      observe::short_count(static_cast<double>(set.num_tokens())) + " tokens in " +
                      std::to_string(set.manifest().shards.size()) + " shards, " +
                      (request.every_byte ? "every byte as ingested" : "a first window opens")));
    });
  }
  return findings;
}

}  // namespace concordat::cli::doctor
