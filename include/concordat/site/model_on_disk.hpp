// A trained model, loaded from a run folder's newest generation into one process: for evaluation
// and for text.
//
//   ModelOnDisk model(settings, "alba/runs/demo", posix_files(), system_clock());
//   auto report = model.evaluate(data::Dataset::open(...), 400);     // bits per byte
//   model.generate(prompt, options, print);
//
// Threads: one host thread, settings.local.threads compute threads.
// Failure: Error(not_found) if the run has no generation, Error(checkpoint.*) if none verifies or
// the shapes differ from the settings'.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/data/dataset.hpp"
#include "concordat/site/settings.hpp"
#include "concordat/train/generate.hpp"
#include "concordat/train/trainer.hpp"

namespace concordat::site {

class ModelOnDisk {
 public:
  ModelOnDisk(const SiteSettings& settings, const FileSystem::Path& run_folder, FileSystem& fs,
              const Clock& clock);
  ~ModelOnDisk();
  /// "step-000360", what was loaded.
  const std::string& generation() const;
  train::ValidationReport evaluate(data::Dataset& dataset, std::uint64_t max_windows);
  /// As train::generate.
  void generate(std::span<const std::int32_t> prompt, const train::GenerateOptions& options,
                const std::function<bool(std::int32_t)>& each);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace concordat::site
