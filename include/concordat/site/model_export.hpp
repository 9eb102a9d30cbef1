// Export: a checkpoint of a run, the newest or a given one, as a Hugging Face folder.
//
//   auto done = export_model(settings, settings.run_folder(), posix_files(),
//                            {.out = "llama-out", .dtype = Dtype::bf16});
//   done.generation;                                    // "step-000360"
//
// The folder appears complete or not at all: written beside it, made durable, renamed. Tensors
// stream through 4 MiB, those that are written transposed through 64; the generation is verified in
// full first, and one that does not verify is passed over and named. Weights of a model are as
// confidential as its data: the files get mode 0600 and nothing else is done about it. Threads:
// one. Failure: Error(already_exists | not_found | checkpoint.none_verifies | checkpoint.mismatch |
// disk_full).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/site/settings.hpp"

namespace concordat::site {

struct ExportOptions {
  FileSystem::Path out{};                     ///< must not exist
  Dtype dtype = Dtype::bf16;                  ///< f32 (exact) or bf16 (rounded to nearest)
  std::uint64_t shard_bytes = 5'000'000'000;  ///< of one file, unless one tensor is larger
  /// max_position_embeddings; 0: inner.length. gpt2: model.positions, and nothing else is taken.
  std::int64_t max_length = 0;
  std::optional<std::int64_t> separator{};  ///< bos and eos of config.json
  /// Called now and then with (bytes written, bytes in all).
  std::function<void(std::uint64_t, std::uint64_t)> progress{};
};

struct Exported {
  std::string generation{};
  std::uint64_t num_tensors = 0;
  std::uint64_t num_bytes = 0;  ///< of tensors, as written
  std::uint64_t num_files = 0;  ///< of weights
  std::vector<checkpoint::Skipped> skipped{};
};

/// The newest generation of the run that verifies. Of `settings` the model and inner.length count.
Exported export_model(const SiteSettings& settings, const FileSystem::Path& run_folder,
                      FileSystem& fs, const ExportOptions& options);
/// This generation and no other. @throws Error(checkpoint.none_verifies) if it does not verify.
Exported export_generation(const SiteSettings& settings, const FileSystem::Path& generation,
                           FileSystem& fs, const ExportOptions& options);

}  // namespace concordat::site
