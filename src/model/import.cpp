#include "concordat/model/import.hpp"

#include <algorithm>
#include <set>

#include "concordat/model/errors.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {
namespace {

constexpr std::string_view config_name = "config.json";

[[noreturn]] void refuse(std::string what, std::string where, std::string found,
                         std::string expected) {
  throw Error(errors::bad_import, {.what = std::move(what),
                                   .where = std::move(where),
                                   .found = std::move(found),
                                   .expected = std::move(expected),
                                   .remedy = "get config.json and weights from one source again"});
}

HuggingFaceModel read_config(FileSystem& fs, const FileSystem::Path& folder) {
  const FileSystem::Path path = folder / config_name;
  if (!fs.exists(path)) {
    throw Error(concordat::errors::not_found,
                {.what = "this is no Hugging Face folder",
                 .where = folder.string(),
                 .found = fs.is_directory(folder) ? "no config.json" : "no folder",
                 .expected = "config.json and model.safetensors",
                 .remedy = "name the folder that save_pretrained() or a download made"});
  }
  return read_huggingface_config(read_text(fs, path, std::uint64_t{1} << 20U), path.string());
}

std::string head_name(const ModelConfig& config) { return weight_of(names_of(config.family).head); }

}  // namespace

ForeignModel::ForeignModel(FileSystem& fs, const FileSystem::Path& folder)
    : model_(read_config(fs, folder)), weights_(fs, folder) {}

ForeignTensor ForeignModel::stored(const parallel::ParameterSpec& spec) const {
  ForeignTensor theirs = foreign_tensor(model_.config, spec);
  // GPT-2's own folders name the tensors of the bare transformer.
  const std::string bare = weight_of(names_of(Family::gpt2).tokens).substr(gpt2_prefix.size());
  if (theirs.name.starts_with(gpt2_prefix) && weights_.find(bare) != nullptr) {
    theirs.name.erase(0, gpt2_prefix.size());
  }
  return theirs;
}

std::string ForeignModel::config_path() const { return (weights_.folder() / config_name).string(); }

void ForeignModel::check_tensors(std::span<const parallel::ParameterSpec> specs) {
  std::set<std::string> wanted;
  for (const auto& spec : specs) {
    const ForeignTensor theirs = stored(spec);
    wanted.insert(theirs.name);
    const std::string where = weights_.folder().string() + ": " + theirs.name;
    const SafetensorsEntry* entry = weights_.find(theirs.name);
    if (entry == nullptr) {
      refuse("a tensor is missing", where, "no such tensor",
             to_string(theirs.shape) + ", as config.json says");
    }
    if (entry->shape != theirs.shape) {
      refuse("a tensor has another shape than config.json says", where, to_string(entry->shape),
             to_string(theirs.shape));
    }
    weights_.read(theirs.name, 0, {});  // its element type
  }
  for (const std::string& name : weights_.names()) {
    if (wanted.count(name) != 0 || is_derived(model_.config, name)) continue;
    if (model_.config.tied && name == head_name(model_.config)) {
      check_tied_head(specs.front());
      continue;
    }
    refuse("the weights hold a tensor that the model does not have",
           weights_.folder().string() + ": " + name, to_string(weights_.find(name)->shape),
           "the tensors that config.json implies and no others");
  }
}

void ForeignModel::check_tied_head(const parallel::ParameterSpec& table) {
  const std::string head = head_name(model_.config);
  const std::string where = weights_.folder().string() + ": " + head;
  if (weights_.find(head)->shape != table.shape) {
    refuse("a tied head has another shape than the table", where,
           to_string(weights_.find(head)->shape), to_string(table.shape));
  }
  const std::int64_t total = num_elements(table.shape);
  std::vector<float> a;
  std::vector<float> b;
  for (std::int64_t at = 0; at < total; at += static_cast<std::int64_t>(a.size())) {
    a.resize(static_cast<std::size_t>(std::min<std::int64_t>(total - at, 1 << 20)));
    b.resize(a.size());
    weights_.read(head, at, a);
    weights_.read(stored(table).name, at, b);
    if (a != b) {
      refuse("config.json says that the head is the table, and the weights differ", where,
             "other values than " + table.name, "equal tensors, or tie_word_embeddings false");
    }
  }
}

void ForeignModel::read_part(const ForeignTensor& theirs, const Part& part, std::span<float> out) {
  const std::int64_t rows = part.row_end - part.row_begin;
  const std::int64_t columns = part.column_end - part.column_begin;
  line_.resize(static_cast<std::size_t>(rows));
  for (std::int64_t column = 0; column < columns; ++column) {
    const std::int64_t line_begin = (part.column_begin + column) * theirs.shape.back();
    weights_.read(theirs.name, line_begin + theirs.first + part.row_begin, line_);
    for (std::int64_t row = 0; row < rows; ++row) {
      out[static_cast<std::size_t>(row * columns + column)] = line_[static_cast<std::size_t>(row)];
    }
  }
}

void ForeignModel::read_shard(const parallel::ParameterSpec& spec, const parallel::MeshShape& mesh,
                              const parallel::MeshCoords& coords, std::span<float> out) {
  const ForeignTensor theirs = stored(spec);
  if (!theirs.transposed) {
    parallel::each_run(
        spec, mesh, coords, [&](std::int64_t first, std::int64_t local, std::int64_t run) {
          weights_.read(
              theirs.name, theirs.first + first,
              out.subspan(static_cast<std::size_t>(local), static_cast<std::size_t>(run)));
        });
    return;
  }
  // The shard is rows or columns of ours, whatever runs it consists of.
  CONCORDAT_REQUIRE(!spec.padded, spec.name);
  const auto range = parallel::shard_range(spec, mesh.tp, coords.tp);
  Part part{.row_end = spec.shape[0], .column_end = spec.shape[1]};
  if (spec.shard_axis == 0) {
    part.row_begin = range.begin;
    part.row_end = range.begin + range.count;
  } else if (spec.shard_axis == 1) {
    part.column_begin = range.begin;
    part.column_end = range.begin + range.count;
  }
  read_part(theirs, part, out);
}

void ForeignModel::read_shards(std::span<const parallel::ParameterSpec> specs,
                               const parallel::MeshShape& mesh, const parallel::MeshCoords& coords,
                               std::span<float> master, const ReadProgress& progress) {
  std::fill(master.begin(), master.end(), 0.0F);
  std::int64_t begin = 0;
  for (const auto& spec : specs) {
    if (!parallel::holds(spec, coords)) continue;
    const std::int64_t count = num_elements(parallel::local_shape(spec, mesh, coords));
    read_shard(spec, mesh, coords,
               master.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)));
    begin += count;
    if (progress) progress(begin);
  }
  CONCORDAT_REQUIRE(begin == static_cast<std::int64_t>(master.size()), std::to_string(begin));
}

void ForeignModel::read_run(const parallel::ParameterSpec& spec, std::int64_t first,
                            std::span<float> out) {
  const ForeignTensor theirs = stored(spec);
  if (!theirs.transposed) {
    weights_.read(theirs.name, theirs.first + first, out);
    return;
  }
  const std::int64_t columns = spec.shape[1];
  const auto last = first + static_cast<std::int64_t>(out.size()) - 1;
  const Part part{
      .row_begin = first / columns, .row_end = last / columns + 1, .column_end = columns};
  rows_.resize(static_cast<std::size_t>((part.row_end - part.row_begin) * columns));
  read_part(theirs, part, rows_);
  std::copy_n(rows_.begin() + (first - part.row_begin * columns), out.size(), out.begin());
}

void ForeignModel::read_range(std::span<const parallel::ParameterSpec> specs,
                              const parallel::CanonicalSpace& space, std::int64_t begin,
                              std::span<float> out) {
  CONCORDAT_REQUIRE(specs.size() == space.tensors().size(), std::to_string(specs.size()));
  parallel::each_tensor(space, begin, out,
                        [&](std::size_t i, std::int64_t first, std::span<float> part) {
                          read_run(specs[i], first, part);
                        });
}

}  // namespace concordat::model
