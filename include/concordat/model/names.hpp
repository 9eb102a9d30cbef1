// Names of a family's modules and of their parameters.
//
//   const Names& names = names_of(Family::llama);
//   weight_of(in_layer(names, 3, names.query));   // "model.layers.3.self_attn.q_proj.weight"
//   bias_of(in_layer(names_of(Family::gpt2), 0, "ln_1"));      // "transformer.h.0.ln_1.bias"
//
// They are Hugging Face's, except that gpt2's query, key and value, one matrix there, are three
// here: tensor parallelism shares out the heads of each (docs/formats/interop.md).
#pragma once

#include <string>
#include <string_view>

#include "concordat/model/config.hpp"

namespace concordat::model {

struct Names {
  std::string_view tokens;     ///< table of the vocabulary
  std::string_view positions;  ///< table of positions; empty: the family has none
  std::string_view layers;     ///< what stands before a layer's number
  std::string_view attention_norm;
  std::string_view query, key, value, output;
  std::string_view mlp_norm;
  std::string_view gate;  ///< empty: the family has none
  std::string_view up, down;
  std::string_view final_norm;
  std::string_view head;
};

const Names& names_of(Family family);

inline std::string in_layer(const Names& names, int layer, std::string_view module) {
  return std::string(names.layers) + std::to_string(layer) + "." + std::string(module);
}
inline std::string weight_of(std::string_view module) { return std::string(module) + ".weight"; }
inline std::string bias_of(std::string_view module) { return std::string(module) + ".bias"; }

}  // namespace concordat::model
