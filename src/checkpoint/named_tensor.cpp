#include "checkpoint/named_tensor.hpp"

#include "concordat/comm/agree.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::checkpoint {

NamedTensor named_tensor(std::string name, const parallel::ParameterSpec& spec, Dtype dtype,
                         Tensor local, const parallel::MeshShape& mesh,
                         const parallel::MeshCoords& coords) {
  NamedTensor tensor{.name = std::move(name), .shape = spec.shape, .dtype = dtype};
  if (!parallel::holds(spec, coords)) return tensor;
  const Shape expected = parallel::local_shape(spec, mesh, coords);
  CONCORDAT_REQUIRE(local.size() == num_elements(expected),
                    spec.name + ": " + to_string(local.shape()) + " for " + to_string(expected));
  const parallel::CanonicalSpace::Entry entry{spec.name, spec.shape, 0, num_elements(spec.shape)};
  tensor.held = parallel::segments(spec, entry, mesh, coords);
  if (parallel::owns(spec, mesh, coords)) tensor.owned = tensor.held;
  tensor.local = std::move(local);
  return tensor;
}

NamedTensor named_slice(std::string name, std::int64_t num_elements, Dtype dtype, Tensor local,
                        const parallel::Slice& slice) {
  NamedTensor tensor{.name = std::move(name), .shape = {num_elements}, .dtype = dtype};
  const auto layout = parallel::layout_of(slice);
  tensor.held = layout.held;
  tensor.owned = layout.owned;
  tensor.local = std::move(local);
  return tensor;
}

void check_same_list(comm::Communicator& comm, const std::vector<NamedTensor>& tensors) {
  ByteWriter out;
  for (const auto& tensor : tensors) {
    CONCORDAT_REQUIRE(tensor.local.empty() || tensor.local.dtype() == tensor.dtype, tensor.name);
    out.sized(tensor.name);
    out.sized(to_string(tensor.shape) + std::string(name_of(tensor.dtype)));
  }
  const Digest mine = crypto::sha256(out.bytes());
  for (const auto& other : comm.all_gather_bytes(mine.view())) {
    CONCORDAT_REQUIRE(digest_from(other, "tensor list") == mine,
                      "ranks name different tensors; rank " + std::to_string(comm.rank()));
  }
}

}  // namespace concordat::checkpoint
