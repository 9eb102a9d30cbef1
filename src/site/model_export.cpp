#include "concordat/site/model_export.hpp"

#include <algorithm>
#include <cstring>

#include "concordat/core/json_value.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/model/foreign.hpp"
#include "concordat/model/huggingface.hpp"
#include "concordat/model/weight_folder.hpp"

namespace concordat::site {
namespace {

using Path = FileSystem::Path;
constexpr std::string_view weights_prefix = "weights/";

struct Source {
  Path generation;
  checkpoint::Manifest manifest;
};

Source newest_that_verifies(FileSystem& fs, const Path& folder, Exported& done) {
  for (const std::string& name : checkpoint::list_generations(fs, folder)) {
    auto reason = checkpoint::verify_generation(fs, folder / name);
    if (!reason) {
      done.generation = name;
      return {folder / name, checkpoint::read_manifest(fs, folder / name)};
    }
    done.skipped.push_back({name, *reason});
  }
  if (done.skipped.empty()) {
    throw Error(concordat::errors::not_found,
                {.what = "the run has no checkpoint yet",
                 .where = folder.string(),
                 .found = "no generation",
                 .expected = "a folder such as step-000120",
                 .remedy = "train first, or give another run folder"});
  }
  throw Error(checkpoint::errors::none_verifies,
              {.what = "no generation of the run verifies",
               .where = folder.string(),
               .found = done.skipped.front().name + ": " + done.skipped.front().reason,
               .expected = "a generation whose every byte is as its manifest says",
               .remedy = "restore the checkpoints folder from a backup"});
}

Source given_generation(FileSystem& fs, const Path& generation, Exported& done) {
  done.generation = generation.filename().string();
  if (auto reason = checkpoint::verify_generation(fs, generation)) {
    throw Error(
        checkpoint::errors::none_verifies,
        {.what = "the generation does not verify",
         .where = generation.string(),
         .found = *reason,
         .expected = "every byte as its manifest says",
         .remedy = "export another one: 'concordat checkpoint verify' says which are whole"});
  }
  return {generation, checkpoint::read_manifest(fs, generation)};
}

const checkpoint::Manifest::Dataset& dataset_of(const Source& source,
                                                const parallel::ParameterSpec& spec) {
  const std::string name = std::string(weights_prefix) + spec.name;
  for (const auto& dataset : source.manifest.datasets) {
    if (dataset.name != name) continue;
    if (dataset.shape == spec.shape && dataset.dtype == Dtype::f32) return dataset;
    throw Error(checkpoint::errors::mismatch,
                {.what = "a tensor of the checkpoint has another shape than the configuration's",
                 .where = source.generation.string() + ": " + name,
                 .found = to_string(dataset.shape),
                 .expected = to_string(spec.shape),
                 .remedy = "use the configuration that the run was trained with"});
  }
  throw Error(checkpoint::errors::mismatch,
              {.what = "the checkpoint does not hold a tensor of the model",
               .where = source.generation.string(),
               .found = "no " + name,
               .expected = to_string(spec.shape),
               .remedy = "use the configuration that the run was trained with"});
}

/// Consecutive tensors that share a file.
std::vector<std::vector<std::size_t>> plan_files(std::span<const model::ForeignGroup> groups,
                                                 const ExportOptions& options) {
  std::vector<std::vector<std::size_t>> files(1);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::uint64_t size =
        static_cast<std::uint64_t>(num_elements(groups[i].whole.shape)) * size_of(options.dtype);
    if (!files.back().empty() &&
        size > options.shard_bytes - std::min(bytes, options.shard_bytes)) {
      files.emplace_back();
      bytes = 0;
    }
    files.back().push_back(i);
    bytes += size;
  }
  return files;
}

std::string file_name(std::size_t index, std::size_t count) {
  if (count == 1) return std::string(model::single_weights_name);
  const auto digits = [](std::size_t number) {
    const std::string text = std::to_string(number);
    return std::string(5 - std::min<std::size_t>(5, text.size()), '0') + text;
  };
  return "model-" + digits(index + 1) + "-of-" + digits(count) + ".safetensors";
}

class Exporter {
 public:
  Exporter(FileSystem& fs, const ExportOptions& options, const Source& source,
           const model::ModelConfig& config, Exported& done)
      : fs_(fs),
        options_(options),
        source_(source),
        config_(config),
        specs_(model::declare_parameters(config)),
        groups_(model::foreign_groups(config, specs_)),
        done_(done) {
    for (const auto& spec : specs_) {
      datasets_.push_back(&dataset_of(source, spec));  // refused before anything is written
      total_ += static_cast<std::uint64_t>(num_elements(spec.shape)) * size_of(options_.dtype);
    }
  }

  void write(const Path& folder) {
    state_ = fs_.open(source_.generation / checkpoint::state_name, OpenMode::read);
    const auto files = plan_files(groups_, options_);
    std::string map;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::string name = file_name(i, files.size());
      write_file(folder / name, files[i]);
      for (const std::size_t group : files[i]) {
        map += (map.empty() ? "\n    " : ",\n    ") + json_quoted(groups_[group].whole.name) +
               ": " + json_quoted(name);
      }
    }
    done_.num_files = files.size();
    if (files.size() == 1) return;
    create_atomically(fs_, folder / model::weights_index_name,
                      as_bytes("{\n  \"metadata\": {\"total_size\": " + std::to_string(total_) +
                               "},\n  \"weight_map\": {" + map + "\n  }\n}\n"));
  }

 private:
  void write_file(const Path& path, const std::vector<std::size_t>& groups) {
    std::vector<model::SafetensorsWriter::Planned> planned;
    for (const std::size_t i : groups) {
      planned.push_back({groups_[i].whole.name, groups_[i].whole.shape});
    }
    model::SafetensorsWriter out(fs_, path, planned, options_.dtype, {{"format", "pt"}});
    const auto read = [&](std::size_t index, std::int64_t first, std::span<float> values) {
      bytes_.resize(values.size_bytes());
      state_->read_at(datasets_[index]->offset + static_cast<std::uint64_t>(first) * sizeof(float),
                      bytes_);
      std::memcpy(values.data(), bytes_.data(), bytes_.size());
    };
    const auto written = [&](std::int64_t elements) {
      done_.num_bytes += static_cast<std::uint64_t>(elements) * size_of(options_.dtype);
      if (options_.progress) options_.progress(done_.num_bytes, total_);
    };
    for (std::size_t i = 0; i < groups.size(); ++i) {
      model::write_group(out, i, config_, specs_, groups_[groups[i]], read, written);
      ++done_.num_tensors;
    }
    out.finish();
  }

  FileSystem& fs_;
  const ExportOptions& options_;
  const Source& source_;
  const model::ModelConfig& config_;
  std::vector<parallel::ParameterSpec> specs_;
  std::vector<model::ForeignGroup> groups_;
  std::vector<const checkpoint::Manifest::Dataset*> datasets_;  // of specs_
  Exported& done_;
  std::unique_ptr<File> state_;
  std::uint64_t total_ = 0;
  Bytes bytes_;
};

void require_absent(FileSystem& fs, const Path& out) {
  if (!fs.exists(out)) return;
  throw Error(concordat::errors::already_exists,
              {.what = "the folder to export into is there already",
               .where = out.string(),
               .found = "a file or folder",
               .expected = "nothing: an export is a new folder",
               .remedy = "choose another name, or remove it first"});
}

/// A table of positions has the length that it has.
std::int64_t max_length_of(const SiteSettings& settings, const ExportOptions& options) {
  const std::int64_t positions = settings.model.positions;
  if (positions == 0) return options.max_length > 0 ? options.max_length : settings.inner.length;
  if (options.max_length == 0 || options.max_length == positions) return positions;
  throw Error(concordat::errors::usage,
              {.what = "the model's table of positions has another length",
               .where = "--max-length",
               .found = std::to_string(options.max_length),
               .expected = "model.positions = " + std::to_string(positions) + ", or no such flag",
               .remedy = "leave --max-length out"});
}

/// `find` verifies and gives the source; nothing is written before it has.
template <typename Find>
Exported export_from(const model::ModelConfig& trained, std::int64_t max_length, FileSystem& fs,
                     const ExportOptions& options, Find&& find) {
  CONCORDAT_REQUIRE(options.shard_bytes > 0, "0");
  require_absent(fs, options.out);
  Exported done;
  const Source source = find(done);
  Exporter exporter(fs, options, source, trained, done);
  // A trailing slash would put the staging folder inside.
  const Path out = options.out.has_filename() ? options.out : options.out.parent_path();
  Path staging = out;
  staging += ".new";
  fs.remove_all(staging);
  fs.make_directories(staging);
  try {
    exporter.write(staging);
    const model::HuggingFaceModel config{.config = trained,
                                         .max_length = max_length,
                                         .dtype = options.dtype,
                                         .separator = options.separator};
    create_atomically(fs, staging / "config.json", as_bytes(model::huggingface_config(config)));
    fs.sync_directory(staging);
    fs.rename(staging, out);
    fs.sync_directory(out.has_parent_path() ? out.parent_path() : Path("."));
  } catch (...) {
    try {
      fs.remove_all(staging);  // half a model is of no use to anybody
    } catch (...) {
    }
    throw;
  }
  return done;
}

}  // namespace

Exported export_model(const SiteSettings& settings, const Path& run_folder, FileSystem& fs,
                      const ExportOptions& options) {
  return export_from(
      settings.model, max_length_of(settings, options), fs, options,
      [&](Exported& done) { return newest_that_verifies(fs, run_folder / "checkpoints", done); });
}

Exported export_generation(const SiteSettings& settings, const Path& generation, FileSystem& fs,
                           const ExportOptions& options) {
  return export_from(settings.model, max_length_of(settings, options), fs, options,
                     [&](Exported& done) { return given_generation(fs, generation, done); });
}

}  // namespace concordat::site
