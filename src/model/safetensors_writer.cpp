#include <cstring>

#include "concordat/model/safetensors.hpp"

namespace concordat::model {

SafetensorsWriter::SafetensorsWriter(FileSystem& fs, FileSystem::Path path,
                                     const std::vector<Planned>& tensors, Dtype dtype,
                                     std::map<std::string, std::string> metadata)
    : dtype_(dtype) {
  CONCORDAT_REQUIRE(dtype == Dtype::f32 || dtype == Dtype::bf16, std::string(name_of(dtype)));
  header_.metadata = std::move(metadata);
  for (const Planned& tensor : tensors) {
    entry_of_.push_back(header_.tensors.size());
    const std::uint64_t bytes =
        static_cast<std::uint64_t>(num_elements(tensor.shape)) * size_of(dtype);
    header_.tensors.push_back({.name = tensor.name,
                               .dtype = dtype == Dtype::f32 ? "F32" : "BF16",
                               .shape = tensor.shape,
                               .begin = data_bytes_,
                               .end = data_bytes_ + bytes});
    data_bytes_ += bytes;
  }
  const std::string text = safetensors_header_text(header_);
  // What is written must be readable: a repeated name would not be.
  parse_safetensors_header(text, data_bytes_, path.string());
  file_ = fs.open(path, OpenMode::create_exclusive);
  ByteWriter out;
  out.u64(text.size());
  out.raw(as_bytes(text));
  file_->write(out.bytes());
  data_begin_ = out.bytes().size();
}

void SafetensorsWriter::write(std::size_t index, std::int64_t first,
                              std::span<const float> values) {
  CONCORDAT_REQUIRE(index < entry_of_.size(), std::to_string(index));
  const SafetensorsEntry& entry = header_.tensors[entry_of_[index]];
  CONCORDAT_REQUIRE(first >= 0 && static_cast<std::int64_t>(values.size()) <= entry.count() - first,
                    entry.name + " from " + std::to_string(first));
  const std::uint64_t element = size_of(dtype_);
  buffer_.resize(values.size() * element);
  if (dtype_ == Dtype::f32) {
    std::memcpy(buffer_.data(), values.data(), buffer_.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Bf16 rounded = to_bf16(values[i]);
      std::memcpy(buffer_.data() + 2 * i, &rounded.bits, 2);
    }
  }
  file_->write_at(data_begin_ + entry.begin + static_cast<std::uint64_t>(first) * element, buffer_);
  written_ += buffer_.size();
}

void SafetensorsWriter::finish() {
  CONCORDAT_REQUIRE(written_ == data_bytes_,
                    std::to_string(written_) + " of " + std::to_string(data_bytes_));
  file_->sync();
}

}  // namespace concordat::model
