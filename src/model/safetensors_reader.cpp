#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "concordat/model/errors.hpp"
#include "concordat/model/safetensors.hpp"

namespace concordat::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");
constexpr std::size_t piece_bytes = std::size_t{1} << 20U;

[[noreturn]] void refuse(const FileSystem::Path& path, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::bad_weights, {.what = std::move(what),
                                    .where = path.string(),
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .remedy = "get the file again from where it came"});
}

void convert(const std::string& dtype, ByteView bytes, std::span<float> out) {
  if (dtype == "F32") {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    out[i] = dtype == "BF16" ? to_float(Bf16{bits}) : to_float(F16{bits});
  }
}

}  // namespace

SafetensorsReader::SafetensorsReader(FileSystem& fs, FileSystem::Path path)
    : path_(std::move(path)), file_(fs.open(path_, OpenMode::read)) {
  const std::uint64_t size = file_->size();
  if (size < 8) {
    refuse(path_, "the file is too short for safetensors", std::to_string(size) + " bytes",
           "at least the 8 bytes of the header's length");
  }
  Bytes length(8);
  file_->read_at(0, length);
  const std::uint64_t header_bytes = ByteReader(length, path_.string()).u64();
  if (header_bytes > max_safetensors_header_bytes || header_bytes > size - 8) {
    refuse(path_, "the header's length is out of bounds", std::to_string(header_bytes) + " bytes",
           "at most " + std::to_string(std::min(size - 8, max_safetensors_header_bytes)));
  }
  Bytes text(header_bytes);
  file_->read_at(8, text);
  data_begin_ = 8 + header_bytes;
  header_ = parse_safetensors_header(to_string(text), size - data_begin_, path_.string());
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) by_name_[header_.tensors[i].name] = i;
}

const SafetensorsEntry* SafetensorsReader::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &header_.tensors[found->second];
}

void SafetensorsReader::read(const SafetensorsEntry& entry, std::int64_t first,
                             std::span<float> out) {
  CONCORDAT_REQUIRE(first >= 0 && static_cast<std::int64_t>(out.size()) <= entry.count() - first,
                    entry.name + " from " + std::to_string(first));
  if (entry.dtype != "F32" && entry.dtype != "F16" && entry.dtype != "BF16") {
    throw Error(errors::unsupported,
                {.what = "a weight has an element type that this program does not read",
                 .where = path_.string() + ": " + entry.name,
                 .found = entry.dtype,
                 .expected = "F32, F16 or BF16",
                 .remedy = "convert the model to one of them first"});
  }
  const std::uint64_t element = entry.dtype == "F32" ? 4 : 2;
  const std::size_t piece = piece_bytes / element;
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t count = std::min(piece, out.size() - done);
    buffer_.resize(count * element);
    file_->read_at(data_begin_ + entry.begin + (static_cast<std::uint64_t>(first) + done) * element,
                   buffer_);
    convert(entry.dtype, buffer_, out.subspan(done, count));
    done += count;
  }
  const auto odd =
      std::find_if(out.begin(), out.end(), [](float value) { return !std::isfinite(value); });
  if (odd != out.end()) {
    refuse(path_.string() + ": " + entry.name, "a weight is not a finite number",
           std::to_string(*odd) + " at element " +
               std::to_string(first + static_cast<std::int64_t>(odd - out.begin())),
           "finite numbers");
  }
}

}  // namespace concordat::model
