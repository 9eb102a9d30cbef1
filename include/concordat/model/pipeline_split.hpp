// PipelineSplit: how the layers are dealt to the stages of a pipeline.
//
//   PipelineSplit split{.stages = 4, .chunks = 2};   // eight parts of the model, in order
//   split.part_of(1, Chunk(1))                       // 5: stage 1 computes parts 1 and 5
//   split.stage_of(5), split.chunk_of(5)             // 1, Chunk(1)
//
// A stage is a rank of the mesh's pp axis. Its chunks are parts of the model that lie `stages`
// apart, as interleaved schedules want them; with one chunk each, part and stage are the same.
// Plain values; the only rule that says where a part of the model lies.
#pragma once

#include "concordat/core/ids.hpp"

namespace concordat::model {

/// A stage's parts, counted from the input on.
using Chunk = StrongId<struct ChunkTag, int>;

struct PipelineSplit {
  int stages = 1;
  int chunks = 1;  ///< of each stage

  int num_parts() const { return stages * chunks; }
  int part_of(int stage, Chunk chunk) const { return chunk.value() * stages + stage; }
  int stage_of(int part) const { return part % stages; }
  Chunk chunk_of(int part) const { return Chunk(part / stages); }
  bool is_first(int stage, Chunk chunk) const { return part_of(stage, chunk) == 0; }
  bool is_last(int stage, Chunk chunk) const { return part_of(stage, chunk) == num_parts() - 1; }
  bool operator==(const PipelineSplit&) const = default;
};

}  // namespace concordat::model
