// Error codes of data.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::data::errors {

/// A document that is not UTF-8; the message names file and byte offset.
inline constexpr ErrorCode not_utf8{"data.not_utf8", Severity::process, ExitCode::data};
/// A source without documents, or a split that came out empty.
inline constexpr ErrorCode empty_corpus{"data.empty_corpus", Severity::process, ExitCode::data};
/// A file in a source folder that ingest does not know how to read.
inline constexpr ErrorCode unknown_source{"data.unknown_source", Severity::process, ExitCode::data};
/// A shard or the dataset's manifest is damaged, cut, foreign or missing.
inline constexpr ErrorCode shard_damaged{"data.shard_damaged", Severity::process, ExitCode::data};
/// Fewer tokens than one window needs.
inline constexpr ErrorCode too_short{"data.too_short", Severity::process, ExitCode::data};

}  // namespace concordat::data::errors
