// Import: a rank's shards of a model, read from a Hugging Face folder.
//
//   ForeignModel llama(fs, "llama-3.2-1b");               // config.json and the files' headers
//   auto specs = declare_parameters(llama.model().config);
//   llama.check_tensors(specs);                            // none missing, none extra, all shapes
//   llama.read_shards(specs, mesh.shape(), mesh.coords(), master);   // local flat space, padding 0
//   llama.read_range(specs, space, begin, values);         // canonical elements of any rank
//
// A rank reads the bytes of its own segments and no others. A tensor that the file stores
// transposed (`ForeignTensor`) is read whole, one at a time. Threads: one at a time per object.
// Failure: Error(model.bad_import | bad_weights | unsupported | not_found), naming file and tensor.
#pragma once

#include <functional>

#include "concordat/model/huggingface.hpp"
#include "concordat/model/weight_folder.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::model {

/// How a file stores one of our tensors.
struct ForeignTensor {
  std::string name{};
  bool transposed = false;  ///< theirs is [in, out]
};

/// Of a family; the llama family has Hugging Face's own names and orientation.
using ForeignNames = std::function<ForeignTensor(const parallel::ParameterSpec&)>;
ForeignTensor as_llama(const parallel::ParameterSpec& spec);

/// Called after each tensor with the elements read so far.
using ReadProgress = std::function<void(std::int64_t)>;

class ForeignModel {
 public:
  ForeignModel(FileSystem& fs, const FileSystem::Path& folder, ForeignNames stored = as_llama);
  const HuggingFaceModel& model() const { return model_; }
  const WeightFolder& weights() const { return weights_; }
  std::string config_path() const;

  /// Names, shapes and element types against the specs. Tensors that a reader computes for itself
  /// (rotary frequencies) may be there; a tied head may be, if it is equal to the table.
  void check_tensors(std::span<const parallel::ParameterSpec> specs);
  void read_shards(std::span<const parallel::ParameterSpec> specs, const parallel::MeshShape& mesh,
                   const parallel::MeshCoords& coords, std::span<float> master,
                   const ReadProgress& progress = {});
  /// @pre [begin, begin + out.size()) lies in `space`, which is that of the specs.
  void read_range(std::span<const parallel::ParameterSpec> specs,
                  const parallel::CanonicalSpace& space, std::int64_t begin, std::span<float> out);

 private:
  /// Elements of our tensor, row-major.
  void read(const parallel::ParameterSpec& spec, std::int64_t first, std::span<float> out);
  void check_tied_head(const parallel::ParameterSpec& table);

  ForeignNames stored_;
  HuggingFaceModel model_;
  WeightFolder weights_;
  std::string whole_name_;    // the transposed tensor that is in memory
  std::vector<float> whole_;  // in our order
};

}  // namespace concordat::model
