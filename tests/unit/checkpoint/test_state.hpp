// A training state in miniature, on any mesh: weights, a bf16 moment, an outer vector in slices
// and a scalar, filled with values that depend on the canonical index and on a generation number.
#pragma once

#include <cstring>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/parallel/mesh.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::checkpoint {

class TestState {
 public:
  TestState(comm::Communicator& comm, const parallel::MeshShape& mesh) : comm_(comm) {
    using parallel::ParameterSpec;
    const int last = mesh.pp - 1;
    const std::vector<ParameterSpec> specs{
        {.name = "embed", .shape = {11, 6}, .shard_axis = 0, .padded = true},
        {.name = "k", .shape = {4, 6}, .shard_axis = 0, .groups = 2, .stages = {last}},
        {.name = "o", .shape = {300, 480}, .shard_axis = 1, .stages = {last}},  // three blocks
        {.name = "norm", .shape = {6}, .stages = {last}}};
    const bool here = comm.rank() < mesh.size();
    const auto coords = here ? coords_of(mesh, comm.rank()) : parallel::MeshCoords{};
    for (const auto& spec : specs) {
      for (const auto& [prefix, dtype] :
           {std::pair("weights/", Dtype::f32), std::pair("moments/first/", Dtype::bf16)}) {
        NamedTensor tensor{.name = prefix + spec.name, .shape = spec.shape, .dtype = dtype};
        if (here && holds(spec, coords)) {
          tensor = named_tensor(prefix + spec.name, spec, dtype,
                                host_tensor(dtype, local_shape(spec, mesh, coords)), mesh, coords);
        }
        tensors.push_back(tensor);
      }
    }
    const auto slice = parallel::slice_of(comm.rank(), comm.size(), 1000, 6);
    tensors.push_back(named_slice(
        "outer/momentum", 1000, Dtype::f32,
        slice.count() > 0 ? host_tensor(Dtype::f32, {slice.count()}) : Tensor(), slice));
    NamedTensor scalar{.name = "counter", .shape = {}, .dtype = Dtype::i64};
    scalar.local = host_tensor(Dtype::i64, {1});
    scalar.held = {{0, 1, 1, 0, 0, 0}};
    if (comm.rank() == 0) scalar.owned = scalar.held;
    tensors.push_back(scalar);
  }

  void fill(int generation) {
    visit([&](std::byte* element, std::size_t width, std::uint64_t value) {
      value += static_cast<std::uint64_t>(generation) << 9U;
      std::memcpy(element, &value, width);
    });
  }

  /// Whether every element held, replicas included, is as fill(generation) left it.
  bool is(int generation) const {
    bool same = true;
    visit([&](std::byte* element, std::size_t width, std::uint64_t value) {
      value += static_cast<std::uint64_t>(generation) << 9U;
      same = same && std::memcmp(element, &value, width) == 0;
    });
    return same;
  }

  std::vector<NamedTensor> tensors;

 private:
  template <typename Visit>
  void visit(Visit visit_element) const {
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const auto& tensor = tensors[t];
      const std::size_t width = size_of(tensor.dtype);
      for (const auto& s : tensor.held) {
        for (std::int64_t i = 0; i < s.count * s.run; ++i) {
          const auto local = s.local_begin + i / s.run * s.local_stride + i % s.run;
          const auto canonical = s.begin + i / s.run * s.stride + i % s.run;
          visit_element(tensor.local.raw_bytes() + static_cast<std::size_t>(local) * width, width,
                        static_cast<std::uint64_t>(canonical) + 77 * t);
        }
      }
    }
  }
  comm::Communicator& comm_;
};

/// Alters every byte of a tensor's extent, and nothing else.
inline void damage(const Path& generation, const std::string& tensor) {
  const Path state = generation / "state.h5";
  Bytes bytes = read_file(posix_files(), state);
  for (const auto& dataset : read_manifest(posix_files(), generation).datasets) {
    if (dataset.name != tensor) continue;
    const auto count =
        static_cast<std::size_t>(num_elements(dataset.shape)) * size_of(dataset.dtype);
    for (std::size_t i = 0; i < count; ++i) bytes[dataset.offset + i] ^= 0x5aU;
  }
  testing_support::overwrite(state, bytes);
}

}  // namespace concordat::checkpoint
