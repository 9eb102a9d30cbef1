#include "concordat/observe/tensorboard.hpp"

#include <array>

#include "concordat/core/error.hpp"

namespace concordat::observe {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    table[byte] = crc;
  }
  return table;
}

constexpr auto crc_table = make_crc_table();

// The record format stores a rotated and shifted CRC, since records may hold CRCs themselves.
std::uint32_t masked_crc(ByteView bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U;
}

// Protocol buffers, as far as an event needs them: key = field << 3 | wire type.
void varint(ByteWriter& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.u8(static_cast<std::uint8_t>(value | 0x80U));
    value >>= 7U;
  }
  out.u8(static_cast<std::uint8_t>(value));
}

void text_field(ByteWriter& out, std::uint8_t key, ByteView bytes) {
  out.u8(key);
  varint(out, bytes.size());
  out.raw(bytes);
}

ByteWriter event_at(const Clock& clock) {
  ByteWriter event;
  event.u8(0x09);  // 1: wall_time, double
  event.f64(static_cast<double>(clock.unix_seconds()));
  return event;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (std::uint8_t byte : bytes) crc = (crc >> 8U) ^ crc_table[(crc ^ byte) & 0xffU];
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(FileSystem& fs, const FileSystem::Path& folder,
                                     const Clock& clock)
    : clock_(clock) {
  fs.make_directories(folder);
  const std::string stem = "events.out.tfevents." + std::to_string(clock.unix_seconds()) + ".";
  // Two starts within a second must not share a file.
  for (int attempt = 0; !file_; ++attempt) {
    const auto path = folder / (stem + std::to_string(attempt));
    if (!fs.exists(path)) file_ = fs.open(path, OpenMode::create_exclusive);
  }
  ByteWriter event = event_at(clock_);
  text_field(event, 0x1a, as_bytes("brain.Event:2"));  // 3: file_version
  record(event.bytes());
}

void TensorBoardWriter::scalar(std::string_view tag, std::int64_t step, float value) {
  ByteWriter entry;                        // Summary.Value
  text_field(entry, 0x0a, as_bytes(tag));  // 1: tag
  entry.u8(0x15);                          // 2: simple_value, float
  entry.f32(value);
  ByteWriter summary;
  text_field(summary, 0x0a, entry.bytes());  // 1: value, repeated
  ByteWriter event = event_at(clock_);
  event.u8(0x10);  // 2: step, int64
  varint(event, static_cast<std::uint64_t>(step));
  text_field(event, 0x2a, summary.bytes());  // 5: summary
  record(event.bytes());
}

void TensorBoardWriter::record(ByteView event) {
  ByteWriter length;
  length.u64(event.size());
  ByteWriter out;
  out.raw(length.bytes());
  out.u32(masked_crc(length.bytes()));
  out.raw(event);
  out.u32(masked_crc(event));
  file_->write(out.bytes());
}

void TensorBoardWriter::sync() { file_->sync(); }

}  // namespace concordat::observe
