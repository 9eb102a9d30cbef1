// How Hugging Face's files of a family store our tensors.
//
//   ForeignTensor theirs = foreign_tensor(config, spec);       //
//   transformer.h.0.attn.c_attn.weight for (const ForeignGroup& group : foreign_groups(config,
//   specs)) ...   // what a file holds write_group(file, i, specs, group, read_ours);
//
// llama's are ours. gpt2's layers keep matrices as [in, out], and query, key and value side by side
// in one. Positions along their last axis are therefore rows of ours.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "concordat/model/config.hpp"
#include "concordat/model/safetensors.hpp"
#include "concordat/parallel/parameter_spec.hpp"

namespace concordat::model {

struct ForeignTensor {
  std::string name{};
  Shape shape{};            ///< of all of theirs
  bool transposed = false;  ///< theirs is [in, out]
  std::int64_t first = 0;   ///< where ours begins along their last axis; the rest is another's
};

ForeignTensor foreign_tensor(const ModelConfig& config, const parallel::ParameterSpec& spec);

/// The prefix that gpt2's names may lack in a file, as in GPT-2's own folders.
inline constexpr std::string_view gpt2_prefix = "transformer.";

/// Whether a file may hold this tensor beside those of the model, because every reader computes it
/// for itself: rotary frequencies, and the masks of gpt2's attention.
bool is_derived(const ModelConfig& config, std::string_view name);

/// One of their tensors and ours that it consists of, in their order.
struct ForeignGroup {
  ForeignTensor whole{};  ///< first = 0
  std::vector<std::size_t> members{};
};
/// All of them, in the order in which ours are declared. `specs` are all tensors of the model.
std::vector<ForeignGroup> foreign_groups(const ModelConfig& config,
                                         std::span<const parallel::ParameterSpec> specs);

/// Elements of our tensor specs[index] from `first` on, row-major.
using ReadOurs = std::function<void(std::size_t index, std::int64_t first, std::span<float> out)>;
/// Writes one group as the `planned`-th tensor of a file, through at most 64 MiB (or one of their
/// rows). `written` is called with the elements of each piece.
void write_group(SafetensorsWriter& file, std::size_t planned, const ModelConfig& config,
                 std::span<const parallel::ParameterSpec> specs, const ForeignGroup& group,
                 const ReadOurs& read, const std::function<void(std::int64_t)>& written = {});

}  // namespace concordat::model
