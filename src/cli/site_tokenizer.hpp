// The tokenizer of a site: that of its first dataset, or of a file that the user names.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "concordat/data/tokenizer.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::cli {

/// `given` is a tokenizer's file or "bytes"; without it the first dataset's, and bytes for a site
/// without datasets. @throws Error(data.vocabulary_differs) if it is not the run's
/// tokenizer (model.tokenizer) or its ids do not fit the model.
std::unique_ptr<data::Tokenizer> site_tokenizer(const site::SiteSettings& settings,
                                                const std::optional<std::string>& given);

/// The id that ends a document in the site's first dataset; nullopt without datasets.
std::optional<std::int64_t> site_separator(const site::SiteSettings& settings);

}  // namespace concordat::cli
