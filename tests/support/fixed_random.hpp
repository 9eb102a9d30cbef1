// SecureRandom for tests: the same bytes in every run. Never linked into the program.
#pragma once

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keystream.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::testing_support {

class FixedRandom final : public crypto::SecureRandom {
 public:
  explicit FixedRandom(std::string_view seed) : stream_(crypto::sha256(as_bytes(seed)).view()) {}
  void fill(ByteSpan out) override { stream_.generate(out); }

 private:
  crypto::CtrKeystream stream_;
};

/// Hands out given bytes once: for vectors that name the ephemeral key.
class GivenRandom final : public crypto::SecureRandom {
 public:
  explicit GivenRandom(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(ByteSpan out) override {
    CONCORDAT_REQUIRE(at_ + out.size() <= bytes_.size(), "no bytes left");
    std::copy_n(bytes_.begin() + static_cast<long>(at_), out.size(), out.begin());
    at_ += out.size();
  }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace concordat::testing_support
