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
/// A file of tokens, or a tokenizer, that is damaged, cut or made up.
inline constexpr ErrorCode bad_tokens{"data.bad_tokens", Severity::process, ExitCode::data};
/// A tokenizer that does something which this program does not do.
inline constexpr ErrorCode unsupported_tokenizer{"data.unsupported_tokenizer", Severity::process,
                                                 ExitCode::data};
/// Two vocabularies that must be one: dataset and tokenizer, datasets of a run, dataset and model.
inline constexpr ErrorCode vocabulary_differs{"data.vocabulary_differs", Severity::process,
                                              ExitCode::data};

}  // namespace concordat::data::errors
