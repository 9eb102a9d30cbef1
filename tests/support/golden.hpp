// Reader of tests/golden/*.txt: lines of "type name shape hex", little-endian.
//
//   Golden golden("llama.txt");
//   std::vector<float> w = golden.f32("weight/model.norm.weight");
#pragma once

#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/error.hpp"

namespace concordat::test {

class Golden {
 public:
  explicit Golden(const std::string& file) {
    std::ifstream in(std::string(CONCORDAT_SOURCE_DIR) + "/tests/golden/" + file);
    CONCORDAT_REQUIRE(in.good(), file);
    std::string line, type, name, shape, hex;
    while (std::getline(in, line)) {
      std::istringstream(line) >> type >> name >> shape >> hex;
      values_[name] = from_hex(hex, name);
    }
  }
  std::vector<float> f32(const std::string& name) const { return get<float>(name); }
  std::vector<double> f64(const std::string& name) const { return get<double>(name); }
  std::vector<std::int32_t> i32(const std::string& name) const { return get<std::int32_t>(name); }

 private:
  template <typename T>
  std::vector<T> get(const std::string& name) const {
    const auto at = values_.find(name);
    CONCORDAT_REQUIRE(at != values_.end(), name);
    std::vector<T> out(at->second.size() / sizeof(T));
    std::memcpy(out.data(), at->second.data(), at->second.size());
    return out;
  }
  std::map<std::string, Bytes> values_;
};

}  // namespace concordat::test
