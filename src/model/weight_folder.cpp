#include "concordat/model/weight_folder.hpp"

#include "concordat/core/json_value.hpp"
#include "concordat/model/errors.hpp"

namespace concordat::model {
namespace {

constexpr std::size_t max_shards = 4096;
constexpr std::size_t max_index_bytes = 100'000'000;

[[noreturn]] void refuse(const std::string& where, std::string what, std::string found,
                         std::string expected, std::string remedy) {
  throw Error(errors::bad_weights, {.what = std::move(what),
                                    .where = where,
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .remedy = std::move(remedy)});
}

/// A file of this very folder and nothing else.
void require_plain_name(const std::string& name, const std::string& where) {
  constexpr std::string_view ending = ".safetensors";
  const bool plain = name.size() > ending.size() && name.size() <= 255 && name.front() != '.' &&
                     name.find_first_of("/\\:") == std::string::npos &&
                     name.find('\0') == std::string::npos && name.find("..") == std::string::npos &&
                     name.ends_with(ending);
  if (plain) return;
  refuse(where, "the index names a file outside its folder or of another kind", json_quoted(name),
         "a plain name that ends in .safetensors", "do not use a folder that you do not trust");
}

}  // namespace

WeightFolder::WeightFolder(FileSystem& fs, const FileSystem::Path& folder) : folder_(folder) {
  const FileSystem::Path single = folder / single_weights_name;
  const FileSystem::Path index = folder / weights_index_name;
  const bool has_single = fs.exists(single);
  const bool has_index = fs.exists(index);
  if (has_single && has_index) {
    refuse(folder.string(), "the folder has its weights twice",
           "both " + std::string(single_weights_name) + " and " + std::string(weights_index_name),
           "one of them", "remove the one that is not meant");
  }
  if (!has_single && !has_index) {
    throw Error(
        concordat::errors::not_found,
        {.what = "the folder has no safetensors weights",
         .where = folder.string(),
         .found = fs.exists(folder / "pytorch_model.bin") ? "pytorch_model.bin alone"
                  : fs.is_directory(folder)               ? "a folder without them"
                                                          : "no folder",
         .expected = std::string(single_weights_name) + " or " + std::string(weights_index_name),
         .remedy = "save it with save_pretrained(FOLDER, safe_serialization=True)"});
  }
  if (has_index) {
    open_shards(fs, index);
  } else {
    files_.push_back(std::make_unique<SafetensorsReader>(fs, single));
    for (const SafetensorsEntry& entry : files_[0]->header().tensors) file_of_[entry.name] = 0;
  }
  for (const auto& [name, file] : file_of_) names_.push_back(name);
}

void WeightFolder::open_shards(FileSystem& fs, const FileSystem::Path& index) {
  const std::string where = index.string();
  const JsonValue root = JsonValue::parse(read_text(fs, index, max_index_bytes), where,
                                          {.max_bytes = max_index_bytes, .max_values = 4'000'000});
  std::map<std::string, std::size_t> shards;
  for (const auto& [tensor, file] : root.at("weight_map", where).members(where)) {
    const std::string& name = file.text(where + ": " + tensor);
    require_plain_name(name, where + ": " + tensor);
    const auto [at, fresh] = shards.emplace(name, shards.size());
    if (fresh) {
      if (shards.size() > max_shards) {
        refuse(where, "the index names too many files", "more than " + std::to_string(max_shards),
               "fewer", "write the model in larger shards");
      }
      if (!fs.exists(folder_ / name)) {
        refuse(where, "a shard is missing", "no " + name, "a file of that name beside the index",
               "complete the download");
      }
      files_.push_back(std::make_unique<SafetensorsReader>(fs, folder_ / name));
    }
    if (files_[at->second]->find(tensor) == nullptr) {
      refuse(where + ": " + tensor, "a tensor is not in the shard that the index names",
             name + " without it", "the tensor in " + name, "get index and shards again");
    }
    file_of_[tensor] = at->second;
  }
  for (const auto& file : files_) {
    for (const SafetensorsEntry& entry : file->header().tensors) {
      const auto found = file_of_.find(entry.name);
      if (found != file_of_.end() && files_[found->second].get() == file.get()) continue;
      refuse(file->path().string() + ": " + entry.name,
             "a shard holds a tensor that the index does not place there",
             found == file_of_.end() ? "a tensor without an entry" : "a second copy",
             "each tensor once, as in the index", "get index and shards again");
    }
  }
}

const SafetensorsEntry* WeightFolder::find(const std::string& name) const {
  const auto found = file_of_.find(name);
  return found == file_of_.end() ? nullptr : files_[found->second]->find(name);
}

void WeightFolder::read(const std::string& name, std::int64_t first, std::span<float> out) {
  const auto found = file_of_.find(name);
  CONCORDAT_REQUIRE(found != file_of_.end(), name);
  SafetensorsReader& file = *files_[found->second];
  file.read(*file.find(name), first, out);
}

std::uint64_t WeightFolder::num_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : files_) {
    for (const SafetensorsEntry& entry : file->header().tensors) sum += entry.end - entry.begin;
  }
  return sum;
}

}  // namespace concordat::model
