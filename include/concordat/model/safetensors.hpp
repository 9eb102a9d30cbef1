// safetensors files: named tensors behind a JSON header. Read by ranges, written in pieces; no
// tensor and no file is ever whole in memory. Grammar, and what is refused:
// docs/formats/interop.md.
//
//   SafetensorsReader file(fs, "llama/model.safetensors");
//   const SafetensorsEntry* norm = file.find("model.norm.weight");
//   file.read(*norm, 0, values);                         // fp32, whatever the file's type
//
//   SafetensorsWriter out(fs, "new/model.safetensors", {{"a", {2, 3}}}, Dtype::bf16);
//   out.write(0, 0, first_three);                        // tensor 0 from its element 0 on
//   out.write(0, 3, last_three);
//   out.finish();                                        // durable
//
// The file comes from strangers: every count and offset is bounded before it is used. Failure:
// Error(model.bad_weights) naming file and tensor. Threads: one at a time per object.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/core/tensor.hpp"

namespace concordat::model {

/// The format's own bound.
inline constexpr std::uint64_t max_safetensors_header_bytes = 100'000'000;

struct SafetensorsEntry {
  std::string name{};
  std::string dtype{};  ///< as the file says: "F32", "BF16", "F16", or one that read() refuses
  Shape shape{};
  std::uint64_t begin = 0;  ///< of its first byte, counted from the end of the header
  std::uint64_t end = 0;
  std::int64_t count() const { return num_elements(shape); }
  bool operator==(const SafetensorsEntry&) const = default;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors{};  ///< in the order of their bytes
  std::map<std::string, std::string> metadata{};
  bool operator==(const SafetensorsHeader&) const = default;
};

/// Checks everything: the tensors cover [0, data_bytes) once, without holes, each aligned to its
/// element and as long as its shape says. Pure. @throws Error(model.bad_weights | malformed).
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           std::string_view where);
/// The header's bytes, padded with spaces to a multiple of eight, without the length before it.
std::string safetensors_header_text(const SafetensorsHeader& header);

class SafetensorsReader {
 public:
  /// Reads the header alone.
  SafetensorsReader(FileSystem& fs, FileSystem::Path path);
  const FileSystem::Path& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  /// nullptr if the file does not hold it. O(log tensors).
  const SafetensorsEntry* find(const std::string& name) const;
  /// Elements first .. first + out.size() - 1 in row-major order, exactly. Reads those bytes only.
  /// Refuses element types other than F32, F16 and BF16, and values that are not finite.
  void read(const SafetensorsEntry& entry, std::int64_t first, std::span<float> out);

 private:
  FileSystem::Path path_;
  std::unique_ptr<File> file_;
  SafetensorsHeader header_;
  std::map<std::string, std::size_t> by_name_;
  std::uint64_t data_begin_ = 0;
  Bytes buffer_;
};

class SafetensorsWriter {
 public:
  struct Planned {
    std::string name;
    Shape shape;
  };
  /// Creates the file (exclusively) and writes the header. `dtype` is f32 or bf16.
  SafetensorsWriter(FileSystem& fs, FileSystem::Path path, const std::vector<Planned>& tensors,
                    Dtype dtype, std::map<std::string, std::string> metadata = {});
  /// Values of the `index`-th planned tensor from its element `first` on, rounded to nearest.
  void write(std::size_t index, std::int64_t first, std::span<const float> values);
  /// Durable when it returns. @throws Bug unless every element was written.
  void finish();
  std::uint64_t file_bytes() const { return data_begin_ + data_bytes_; }

 private:
  std::unique_ptr<File> file_;
  SafetensorsHeader header_;
  std::vector<std::size_t> entry_of_;  // planned tensor to entry
  Dtype dtype_;
  std::uint64_t data_begin_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t written_ = 0;
  Bytes buffer_;
};

}  // namespace concordat::model
