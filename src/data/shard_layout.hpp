// The plain layout inside a shard's sealed file (docs/formats/token-shard.md):
//
//   magic u32 vocabulary u32 token bytes | tokens | index entries | u64 T u64 D "CNCTOKSE"
#pragma once

#include <string>

#include "concordat/data/errors.hpp"
#include "concordat/data/token_shard.hpp"

namespace concordat::data {

inline constexpr std::string_view shard_magic = "CNCTOKS1";       // byte-level tokens
inline constexpr std::string_view wide_shard_magic = "CNCTOKS2";  // any other vocabulary
inline constexpr std::string_view shard_end_magic = "CNCTOKSE";
inline constexpr std::uint64_t shard_header_bytes = 8 + 4 + 4;
inline constexpr std::uint64_t index_entry_bytes = 8 + 8 + 32;
inline constexpr std::uint64_t shard_trailer_bytes = 8 + 8 + 8;
inline constexpr std::uint32_t max_shards = 10'000;

inline std::string_view magic_of(const Vocabulary& vocabulary) {
  return vocabulary.kind == Vocabulary::bytes ? shard_magic : wide_shard_magic;
}

/// Where a dataset keeps the tokenizer that made it.
inline std::string tokenizer_file(std::string_view kind) {
  return kind == Vocabulary::sentencepiece ? "tokenizer.model" : "tokenizer.json";
}

/// Authenticated by the sealed file: a shard in another's place does not open.
inline std::string purpose_of(const ShardId& id) {
  return "token-shard " + id.dataset + " " + std::string(name_of(id.split)) + " " +
         std::to_string(id.number);
}

[[noreturn]] inline void fail_shard(const FileSystem::Path& path, std::string what,
                                    std::string found, std::string expected) {
  throw Error(errors::shard_damaged,
              {.what = std::move(what),
               .where = path.string(),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "restore the dataset folder from a backup or ingest the source again"});
}

}  // namespace concordat::data
