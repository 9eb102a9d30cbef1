#include "cli/site_command.hpp"

#include "cli/party_file.hpp"
#include "concordat/core/error.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/federation/errors.hpp"

namespace concordat::cli {
namespace {

/// A site whose keys are not in the roster could train, but its border would be refused and its
/// ranks would wait for ever. Ranks hold no signing key: what tells is NAME.pub beside the keys.
void require_own_membership(const federation::SignedRoster& roster, const std::string& name,
                            const std::filesystem::path& keys) {
  auto& fs = posix_files();
  if (roster.roster.id_of(name) == coordinator_id) {
    throw Error(federation::errors::not_in_roster,
                {.what = "this is the coordinator's name, not a site's",
                 .where = "site.name",
                 .found = name,
                 .expected = "a site of roster " + roster.roster.name,
                 .remedy = "correct site.name; the coordinator runs 'concordat coordinate'"});
  }
  std::string own = name + ".pub";
  if (fs.exists(keys / own)) {
    federation::require_member(roster, crypto::load_public_keys(fs, keys / own));
    return;
  }
  for (const std::string& file : fs.list(keys)) {
    if (!file.ends_with(".pub")) continue;
    throw Error(federation::errors::not_in_roster, {.what = "the keys are another site's",
                                                    .where = keys.string(),
                                                    .found = file,
                                                    .expected = own,
                                                    .remedy = "correct site.name or site.folder"});
  }
}

}  // namespace

SiteConfig read_site_config(const ConfigSchema& schema, const std::string& file,
                            const Args& flags) {
  require_site_file(file);
  SiteConfig read{.config = Config::load(schema, file, flags), .terms = {}};
  const std::filesystem::path roster = resolve(read.config, read.config.text("federation.roster"));
  const std::filesystem::path agreement =
      resolve(read.config, read.config.text("federation.agreement"));
  if (roster.empty() || agreement.empty()) return read;
  auto signed_roster = federation::load_roster(posix_files(), roster);
  auto signed_agreement = federation::load_agreement(posix_files(), agreement, signed_roster);
  read.config =
      Config::load(schema, file, flags, overlay_of(signed_agreement.agreement, agreement.string()));
  read.terms = {std::move(signed_roster), std::move(signed_agreement)};
  return read;
}

SiteInput read_site(std::string_view command, const Args& args) {
  if (args.empty() || args[0].substr(0, 2) == "--") {
    throw Error(errors::usage, {.what = "a configuration file is missing",
                                .where = "concordat " + std::string(command),
                                .found = args.empty() ? "nothing" : args[0],
                                .expected = "SITE.toml first, then --key=value flags",
                                .remedy = "concordat " + std::string(command) + " --help"});
  }
  Args flags(args.begin() + 1, args.end());
  SiteConfig read = read_site_config(site_schema(), args[0], flags);
  SiteInput input{.config = std::move(read.config), .settings = {}, .terms = std::move(read.terms)};
  input.settings = site_settings(input.config);
  if (input.terms) {
    require_own_membership(input.terms->roster, input.settings.name,
                           input.settings.folder / "keys");
  }
  return input;
}

std::optional<std::string> take_flag(Args& args, std::string_view name) {
  std::string flag = "--" + std::string(name);
  for (auto it = args.begin(); it != args.end(); ++it) {
    if (*it == flag) {
      args.erase(it);
      return "true";
    }
    if (it->substr(0, flag.size() + 1) == flag + "=") {
      std::string value = it->substr(flag.size() + 1);
      args.erase(it);
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace concordat::cli
