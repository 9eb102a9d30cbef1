// `concordat roster`: makes, signs and verifies the two documents that everybody signs.
#include <iostream>

#include "cli/command.hpp"
#include "cli/schema.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::cli {
namespace {

using federation::DocumentKind;

std::string help() {
  return "concordat roster: the roster (who) and the run agreement (what), signed by everybody.\n\n"
         "usage:\n"
         "  concordat roster create --name FEDERATION --address HOST:PORT --coordinator HUB.pub\n"
         "        --site A.pub=DE --site B.pub=FR --site C.pub=ES --out roster.json\n"
         "        [--jurisdiction CODE]   of the coordinator (default: -)\n"
         "        [--allow-mpi-road]      all parties may run in one mpirun (federation.road = "
         "mpi),\n"
         "                                where nothing isolates them: for one trust domain and "
         "tests\n"
         "        a site's id is its place in this list; the text after '=' is its jurisdiction.\n"
         "  concordat roster agreement --roster roster.json --config federation.toml\n"
         "        --initial-digest HEX --out agreement.json [--key=value ...]\n"
         "        HEX is what 'concordat train --check federation.toml' prints at every site.\n"
         "  concordat roster sign roster.json --keys DIR\n"
         "  concordat roster sign agreement.json --roster roster.json --keys DIR\n"
         "        adds this party's signature to DOCUMENT.sigs, after showing what it signs.\n"
         "  concordat roster verify roster.json [agreement.json]\n"
         "        every signature, every bound; prints members, terms and digests.\n\n"
         "Each member signs both documents (all sites and the coordinator). An edited document or\n"
         "a missing signature is refused by every program that reads it.\n\n"
         "Keys of federation.toml:\n" +
         federation_schema().help();
}

federation::Member member(const std::string& file, const std::string& jurisdiction) {
  return federation::member_from(crypto::load_public_keys(posix_files(), file), jurisdiction);
}

void print(const federation::Roster& roster, const Digest& digest) {
  std::cout << "roster       " << roster.name << ", version " << roster.version << ", "
            << roster.num_sites() << " sites, coordinator " << roster.coordinator.name << " at "
            << roster.address << '\n';
  for (std::uint32_t i = 0; i < roster.num_sites(); ++i) {
    const auto& site = roster.at(SiteId(i));
    std::cout << "  site " << i << "     " << site.name << " (" << site.jurisdiction << "), key "
              << site.verify.hex().substr(0, 16) << "...\n";
  }
  if (roster.allows_mpi_road()) {
    std::cout << "roads        mpi is allowed: parties in one mpirun are not isolated\n";
  }
  std::cout << "digest       " << digest.hex() << '\n';
}

void print(const federation::RunAgreement& a, const Digest& digest) {
  std::cout << "agreement    run " << a.run << ": " << a.rounds << " rounds of " << a.inner_steps
            << " inner steps, outer step " << exact::name_of(a.outer.kind) << ", "
            << a.later_rounds.bits << "-bit code points in "
            << static_cast<int>(a.later_rounds.lane) << "-bit lanes\n             "
            << a.num_elements << " parameters in " << a.num_blocks() << " blocks of 2^"
            << a.block_log2 << ", at least " << a.minimum
            << " participants, recovery none\ninitial      " << a.initial_state.hex()
            << "\ndigest       " << digest.hex() << '\n';
}

/// Signatures beside a document are of these very bytes: another document in its place voids them.
void write_new(const std::string& path, const Bytes& document) {
  auto& fs = posix_files();
  if (!fs.exists(path)) return create_atomically(fs, path, document);
  if (fs.file_size(path) == document.size() && read_file(fs, path, document.size()) == document) {
    return;
  }
  throw Error(errors::already_exists,
              {.what = "another document is there already, and its signatures would be void",
               .where = path,
               .found = std::to_string(fs.file_size(path)) + " bytes of other content",
               .expected = "no file, or the same document",
               .remedy = "choose another --out, or move the document and its .sigs away"});
}

void require_usable(const federation::Roster& roster) {
  constexpr std::uint32_t fewest = 3;
  const std::size_t colon = roster.address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : roster.address.substr(colon + 1);
  if (roster.num_sites() < fewest) {
    throw Error(errors::usage, {.what = "too few sites for masks to hide anything",
                                .where = "concordat roster create --site",
                                .found = std::to_string(roster.num_sites()) + " sites",
                                .expected = "at least " + std::to_string(fewest),
                                .remedy = "give --site NAME.pub=JURISDICTION once for each site"});
  }
  if (colon == 0 || port.empty() || port.find_first_not_of("0123456789") != std::string::npos) {
    throw Error(errors::usage, {.what = "the coordinator's address has no port",
                                .where = "concordat roster create --address",
                                .found = roster.address,
                                .expected = "HOST:PORT",
                                .remedy = "name the port that the coordinator listens on"});
  }
}

int create(const Flags& flags) {
  flags.expect_positional({"create"});
  federation::Roster roster;
  roster.name = flags.required("name");
  roster.address = flags.required("address");
  roster.coordinator = member(flags.required("coordinator"), flags.value("jurisdiction", "-"));
  for (const std::string& site : flags.values("site")) {
    std::size_t equals = site.rfind('=');
    roster.sites.push_back(member(site.substr(0, equals),
                                  equals == std::string::npos ? "-" : site.substr(equals + 1)));
  }
  if (flags.given("allow-mpi-road")) {
    if (const std::string value = flags.value("allow-mpi-road", ""); value != "true") {
      throw Error(errors::usage, {.what = "this flag has no value",
                                  .where = "concordat roster create --allow-mpi-road",
                                  .found = value,
                                  .expected = "nothing after it",
                                  .remedy = "leave the flag out to allow nothing"});
    }
    roster.roads = {"mpi"};
  }
  require_usable(roster);
  Bytes document = federation::encode(roster);
  federation::parse_roster(document, "the new roster");
  write_new(flags.required("out"), document);
  print(roster, crypto::sha256(document));
  return 0;
}

std::uint64_t count_elements(const Config& config) {
  auto specs = model::declare_parameters(model_config(config));
  return static_cast<std::uint64_t>(parallel::CanonicalSpace(specs).num_elements());
}

Digest initial_digest(const std::string& hex) {
  constexpr std::size_t digits = 64;
  if (hex.size() != digits || hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw Error(errors::usage, {.what = "this is no digest",
                                .where = "concordat roster agreement --initial-digest",
                                .found = hex,
                                .expected = "64 hexadecimal digits in lower case",
                                .remedy = "take what 'concordat train --check' of the common file "
                                          "prints as the initial state"});
  }
  return digest_from_hex(hex, "--initial-digest");
}

int agreement(const Flags& flags, const Args& overrides) {
  flags.expect_positional({"agreement"});
  auto roster = federation::load_roster(posix_files(), flags.required("roster"));
  Config config = Config::load(federation_schema(), flags.required("config"), overrides);
  federation::RunAgreement a = agreement_from(config);
  a.num_elements = count_elements(config);
  a.initial_state = initial_digest(flags.required("initial-digest"));
  a.roster = roster.digest;
  federation::check_agreement(a, roster, flags.required("config"));
  Bytes document = federation::encode(a);
  write_new(flags.required("out"), document);
  print(a, crypto::sha256(document));
  return 0;
}

/// @throws Error(usage) for a document that says of itself that it is a run agreement.
void require_no_agreement(const Bytes& document, const std::string& path) {
  const JsonValue root = JsonValue::parse(to_string(document), path);
  const JsonValue* format = root.find("format");
  const bool is_text = format != nullptr && format->kind() == JsonValue::Kind::text;
  if (!is_text || !format->text(path).starts_with("concordat-agreement")) return;
  throw Error(errors::usage, {.what = "a run agreement is signed beside its roster",
                              .where = "concordat roster sign " + path,
                              .found = "no --roster",
                              .expected = "--roster roster.json",
                              .remedy = "add --roster roster.json to the command"});
}

int sign(const Flags& flags) {
  flags.expect_positional({"sign", "DOCUMENT"});
  crypto::disable_core_dumps();
  const std::string& path = flags.positional()[1];
  Bytes document = read_file(posix_files(), path, federation::max_document_bytes);
  auto keys = crypto::load_site_keys(posix_files(), flags.required("keys"));
  DocumentKind kind = flags.given("roster") ? DocumentKind::agreement : DocumentKind::roster;
  if (kind == DocumentKind::agreement) {
    auto roster = federation::load_roster(posix_files(), flags.required("roster"));
    federation::require_member(roster, keys.public_keys());
    auto a = federation::parse_agreement(document, path);
    federation::check_agreement(a, roster, path);
    print(a, crypto::sha256(document));
  } else {
    require_no_agreement(document, path);
    print(federation::parse_roster(document, path), crypto::sha256(document));
  }
  federation::add_signature(posix_files(), path,
                            federation::sign_document(kind, document, keys.name, keys.signing));
  std::cout << "signed       by " << keys.name << " in " << path << ".sigs\n";
  return 0;
}

int verify(const Flags& flags) {
  if (flags.positional().size() == 2) {
    auto roster = federation::load_roster(posix_files(), flags.positional()[1]);
    print(roster.roster, roster.digest);
  } else {
    flags.expect_positional({"verify", "ROSTER", "AGREEMENT"});
    auto roster = federation::load_roster(posix_files(), flags.positional()[1]);
    auto run = federation::load_agreement(posix_files(), flags.positional()[2], roster);
    print(roster.roster, roster.digest);
    print(run.agreement, run.digest);
  }
  std::cout << "verified     every signature\n";
  return 0;
}

int run(const Args& args) {
  // Keys of the federation's common file may stand among the flags of `roster agreement`.
  Args own;
  Args overrides;
  for (const std::string& arg : args) {
    std::string name = arg.substr(0, 2) == "--" ? arg.substr(2, arg.find('=') - 2) : "";
    (federation_schema().find(name) != nullptr ? overrides : own).push_back(arg);
  }
  Flags flags("roster", own,
              {"name", "address", "coordinator", "jurisdiction", "site", "allow-mpi-road", "out",
               "roster", "config", "initial-digest", "keys"});
  std::string action = flags.positional().empty() ? "nothing" : flags.positional()[0];
  if (action == "create") return create(flags);
  if (action == "agreement") return agreement(flags, overrides);
  if (action == "sign") return sign(flags);
  if (action == "verify") return verify(flags);
  throw Error(errors::usage, {.what = "there is no such action",
                              .where = "concordat roster",
                              .found = action,
                              .expected = "create, agreement, sign or verify",
                              .remedy = "concordat roster --help"});
}

}  // namespace

const Command roster_command{"roster", "make, sign and verify the roster and the run agreement",
                             help, run};

}  // namespace concordat::cli
