#include "concordat/site/generation_bytes.hpp"

namespace concordat::site {

std::uint64_t generation_bytes(const model::ModelConfig& model, std::uint64_t other_bytes) {
  constexpr std::uint64_t an_element = 3 * sizeof(float);
  std::uint64_t elements = 0;
  for (const auto& spec : model::declare_parameters(model)) {
    elements += static_cast<std::uint64_t>(num_elements(spec.shape));
  }
  return an_element * elements + other_bytes;
}

}  // namespace concordat::site
