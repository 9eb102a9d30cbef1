#include <charconv>

#include "cli/checkpoint_commands.hpp"
#include "cli/checkpoint_place.hpp"
#include "cli/export_options.hpp"
#include "cli/site_command.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/data/tokenizer.hpp"

namespace concordat::cli {
namespace {

/// As the job that saved it was told; a generation needs nothing beside it.
site::SiteSettings kept_settings(const std::filesystem::path& generation) {
  const auto manifest = checkpoint::read_manifest(posix_files(), generation);
  const auto found = manifest.metadata.find(std::string(checkpoint::keys::effective_config));
  const std::string where = (generation / "manifest.json").string();
  if (found == manifest.metadata.end()) {
    throw Error(errors::not_found, {.what = "the generation does not say how its model is built",
                                    .where = where,
                                    .found = "no effective_config in its metadata",
                                    .expected = "the configuration of the job that saved it",
                                    .remedy = "give the site's file with --site=SITE.toml"});
  }
  return site_settings(Config::load_text(site_schema(SiteNeeded::no), found->second, where));
}

site::SiteSettings given_settings(const std::string& file) {
  return site_settings(read_site_config(site_schema(SiteNeeded::no), file, {}).config);
}

/// What ends a document stands in the name of the run's tokenizer (data::Vocabulary::id).
std::optional<std::int64_t> separator_of(const std::string& tokenizer) {
  if (tokenizer == "bytes") return data::separator_token;
  const std::size_t digest = tokenizer.rfind('-');
  if (digest == std::string::npos || digest == 0) return std::nullopt;
  const std::size_t dash = tokenizer.rfind('-', digest - 1);
  if (dash == std::string::npos) return std::nullopt;
  std::int64_t id = 0;
  const char* end = tokenizer.data() + digest;
  const auto [stop, status] = std::from_chars(tokenizer.data() + dash + 1, end, id);
  if (status != std::errc() || stop != end) return std::nullopt;
  return id;
}

}  // namespace

int checkpoint_export(const Args& given) {
  Args args = given;
  crypto::disable_core_dumps();
  site::ExportOptions options = take_export_options("checkpoint export", args);
  Flags flags("checkpoint export", args, {"site"});
  flags.expect_positional({"GENERATION"});
  const CheckpointPlace place = find_generation(flags.positional()[0]);
  const site::SiteSettings settings =
      flags.given("site") ? given_settings(flags.required("site")) : kept_settings(place.path());
  options.separator = separator_of(settings.tokenizer);
  print_exported(place.folder.string(), options,
                 site::export_generation(settings, place.path(), posix_files(), options));
  return 0;
}

}  // namespace concordat::cli
