// config.json of a Hugging Face folder: what a foreign model is, read and written.
//
//   HuggingFaceModel found = read_huggingface_config(text, "llama/config.json");
//   found.config.width;  found.max_length;
//   write_atomically(fs, "out/config.json", as_bytes(huggingface_config(found)));
//
// Every key of the file is either mapped, known to change nothing, or refused by name: a model is
// never computed in another way than its makers meant. docs/formats/interop.md lists the keys.
// Failure: Error(model.unsupported | model.bad_config | malformed) naming file and key. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "concordat/core/dtype.hpp"
#include "concordat/model/config.hpp"

namespace concordat::model {

struct HuggingFaceModel {
  ModelConfig config;
  std::int64_t max_length = 0;  ///< max_position_embeddings; gpt2: its positions
  Dtype dtype = Dtype::f32;     ///< of the weights that the folder says it has; written only
  /// Written as bos and eos; null in the file if absent.
  std::optional<std::int64_t> separator{};
  /// The largest dropout that the file names for training gpt2. Read only: this program has none,
  /// and whoever starts training from the folder is told so.
  float dropout = 0.0F;
};

HuggingFaceModel read_huggingface_config(std::string_view text, std::string_view where);
std::string huggingface_config(const HuggingFaceModel& model);

/// The model's keys as a [model] section of a site's or a federation's configuration.
std::string model_section(const ModelConfig& config);
/// @throws Error(model.bad_import) naming the first key in which `wanted` (the configuration) and
/// `found` (the folder) differ. How weights are drawn (init_stddev) does not matter here.
void require_same_model(const ModelConfig& wanted, const ModelConfig& found,
                        std::string_view where);

}  // namespace concordat::model
