// The configuration keys of each role, and the plain settings that they become.
#pragma once

#include <map>
#include <string>

#include "concordat/core/config.hpp"
#include "concordat/federation/agreement.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::cli {

/// Keys that all sites share and that the run agreement fixes: [run] [model] [inner] [outer]
/// [exchange].
void add_run_keys(ConfigSchema& schema);
/// Everything of a site: the run keys and [site] [federation] [data] [train].
enum class SiteNeeded { yes, no };
ConfigSchema site_schema(SiteNeeded needed = SiteNeeded::yes);
/// A federation's common file: the run keys alone.
ConfigSchema federation_schema();
/// [coordinator] [federation].
ConfigSchema coordinator_schema();

/// @throws Error(model.bad_config).
model::ModelConfig model_config(const Config& config);

/// @throws Error(config_bad_value) for what does not fit together.
site::SiteSettings site_settings(const Config& config);

/// The agreement that a federation's common file proposes; digests of roster and initial state
/// are filled in by the caller. For a site that trains alone: what the digest is computed from.
federation::RunAgreement agreement_from(const Config& config);

/// The agreement's values as an overlay on a site's configuration: a key that the file gives with
/// another value is refused.
ConfigOverlay overlay_of(const federation::RunAgreement& agreement, std::string origin);

/// `path` relative to the folder of the configuration file.
std::filesystem::path resolve(const Config& config, const std::string& path);
/// What `key` names, else spool/ in the party's folder.
std::filesystem::path spool_folder(const Config& config, std::string_view key,
                                   const std::filesystem::path& party);

}  // namespace concordat::cli
