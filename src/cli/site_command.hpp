// Shared by the commands that take SITE.toml: read it, and put the agreement over it.
#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"
#include "cli/schema.hpp"
#include "concordat/site/training_job.hpp"

namespace concordat::cli {

struct SiteInput {
  Config config;
  site::SiteSettings settings;
  std::optional<site::FederationTerms> terms;
};

/// A site's configuration with what its signed agreement fixes laid over it, and these terms; both
/// documents are verified. No terms without [federation].
struct SiteConfig {
  Config config;
  std::optional<site::FederationTerms> terms;
};
SiteConfig read_site_config(const ConfigSchema& schema, const std::string& file, const Args& flags);

/// `args`: the file, then --key=value flags of the site's schema. In a federation the signed
/// documents are verified, their values hold, and the site must be in the roster: its name, and
/// its public keys where keys/NAME.pub can be read.
/// @throws Error of configuration, documents and keys.
SiteInput read_site(std::string_view command, const Args& args);

/// Takes `--name` or `--name=value` out of `args`; nullopt if it is not there.
std::optional<std::string> take_flag(Args& args, std::string_view name);

}  // namespace concordat::cli
