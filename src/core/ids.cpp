#include "concordat/core/ids.hpp"

namespace concordat {

std::string ExchangeId::text() const {
  return std::to_string(round.value()) + "." + std::to_string(fragment.value()) + "." +
         std::to_string(attempt.value());
}

}  // namespace concordat
