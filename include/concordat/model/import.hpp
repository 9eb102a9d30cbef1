// Import: a rank's shards of a model, read from a Hugging Face folder.
//
//   ForeignModel foreign(fs, "llama-3.2-1b");             // config.json and the files' headers
//   auto specs = declare_parameters(foreign.model().config);
//   foreign.check_tensors(specs);                          // none missing, none extra, all shapes
//   foreign.read_shards(specs, mesh.shape(), mesh.coords(), master);   // local flat, padding 0
//   foreign.read_range(specs, space, begin, values);       // canonical elements of any rank
//
// A rank reads the bytes of its own segments and no others, also of tensors that the file stores
// transposed (foreign.hpp). Threads: one at a time per object.
// Failure: Error(model.bad_import | bad_weights | unsupported | not_found), naming file and tensor.
#pragma once

#include <functional>

#include "concordat/model/foreign.hpp"
#include "concordat/model/huggingface.hpp"
#include "concordat/model/weight_folder.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::model {

/// Called after each tensor with the elements read so far.
using ReadProgress = std::function<void(std::int64_t)>;

class ForeignModel {
 public:
  ForeignModel(FileSystem& fs, const FileSystem::Path& folder);
  const HuggingFaceModel& model() const { return model_; }
  const WeightFolder& weights() const { return weights_; }
  std::string config_path() const;

  /// Names, shapes and element types against the specs. Tensors that a reader computes for itself
  /// (is_derived) may be there; a tied head may be, if it is equal to the table.
  void check_tensors(std::span<const parallel::ParameterSpec> specs);
  void read_shards(std::span<const parallel::ParameterSpec> specs, const parallel::MeshShape& mesh,
                   const parallel::MeshCoords& coords, std::span<float> master,
                   const ReadProgress& progress = {});
  /// @pre [begin, begin + out.size()) lies in `space`, which is that of the specs.
  void read_range(std::span<const parallel::ParameterSpec> specs,
                  const parallel::CanonicalSpace& space, std::int64_t begin, std::span<float> out);

 private:
  /// As this folder names it.
  ForeignTensor stored(const parallel::ParameterSpec& spec) const;
  /// Rows and columns of one of our matrices.
  struct Part {
    std::int64_t row_begin = 0, row_end = 0;
    std::int64_t column_begin = 0, column_end = 0;
  };
  /// Of a transposed one, into `out` row by row.
  void read_part(const ForeignTensor& theirs, const Part& part, std::span<float> out);
  /// This rank's shard, without padding.
  void read_shard(const parallel::ParameterSpec& spec, const parallel::MeshShape& mesh,
                  const parallel::MeshCoords& coords, std::span<float> out);
  /// Elements of our tensor from `first` on, row-major.
  void read_run(const parallel::ParameterSpec& spec, std::int64_t first, std::span<float> out);
  void check_tied_head(const parallel::ParameterSpec& table);

  HuggingFaceModel model_;
  WeightFolder weights_;
  std::vector<float> line_;  // of theirs
  std::vector<float> rows_;  // of ours
};

}  // namespace concordat::model
