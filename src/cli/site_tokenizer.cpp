#include "cli/site_tokenizer.hpp"

#include "concordat/core/error.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/data/errors.hpp"
#include "concordat/data/manifest.hpp"

namespace concordat::cli {
namespace {

data::DatasetManifest first_manifest(const site::SiteSettings& settings) {
  const auto key = crypto::load_data_key(posix_files(), settings.folder / "keys");
  return data::load_manifest(posix_files(), settings.folder / "data" / settings.datasets.front(),
                             key.view());
}

}  // namespace

std::unique_ptr<data::Tokenizer> site_tokenizer(const site::SiteSettings& settings,
                                                const std::optional<std::string>& given) {
  std::unique_ptr<data::Tokenizer> tokenizer;
  if (given && *given != "bytes") {
    tokenizer = data::load_tokenizer(posix_files(), *given);
  } else if (given || settings.datasets.empty()) {
    tokenizer = data::byte_tokenizer();
  } else {
    tokenizer =
        data::tokenizer_of(posix_files(), settings.folder / "data" / settings.datasets.front(),
                           first_manifest(settings));
  }
  // Without datasets of the run's tokenizer somebody must name it; given ids allow any.
  const std::string found = tokenizer->vocabulary().id();
  if (found != settings.tokenizer && settings.tokenizer.rfind("given-", 0) != 0) {
    throw Error(data::errors::vocabulary_differs,
                {.what = "the tokenizer is not the one that the model was trained with",
                 .where = given ? "--tokenizer " + *given : "data.datasets",
                 .found = found,
                 .expected = "model.tokenizer = \"" + settings.tokenizer + "\"",
                 .remedy = "give its file with --tokenizer"});
  }
  const std::uint32_t size = tokenizer->vocabulary().size;
  if (static_cast<std::int64_t>(size) > settings.model.vocab) {
    throw Error(data::errors::vocabulary_differs,
                {.what = "the tokenizer's ids do not fit the model's vocabulary",
                 .where = given ? "--tokenizer " + *given : "data.datasets",
                 .found = std::to_string(size) + " ids",
                 .expected = "at most model.vocab = " + std::to_string(settings.model.vocab),
                 .remedy = "give the tokenizer that the model was trained with"});
  }
  return tokenizer;
}

std::optional<std::int64_t> site_separator(const site::SiteSettings& settings) {
  if (settings.datasets.empty()) return std::nullopt;
  return first_manifest(settings).vocabulary.separator;
}

}  // namespace concordat::cli
