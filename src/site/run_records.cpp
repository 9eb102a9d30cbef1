#include "site/run_records.hpp"

#include <charconv>

#include "concordat/core/error.hpp"
#include "site/text_record.hpp"

namespace concordat::site {

namespace {

constexpr std::string_view key_title = "concordat key 1";
constexpr std::string_view commit_title = "concordat commit 1";
constexpr std::string_view closed_title = "concordat closed 2";
constexpr std::uint64_t max_ranks = 1U << 20U;
constexpr std::uint64_t max_blocks = 1ULL << 40U;
constexpr std::uint64_t max_elements = 1ULL << 60U;

void read_exchange(TextRecord& in, const ExchangeId& exchange) {
  const std::string found = in.text("exchange");
  if (found != exchange.text())
    in.refuse("the file is of another exchange", found, exchange.text());
}

std::string read_nonce(TextRecord& in, std::string_view key) {
  std::string nonce = in.text(key);
  if (!is_nonce(nonce)) in.refuse("a nonce has another form", nonce, "32 hex digits");
  return nonce;
}

std::string read_name(TextRecord& in, std::string_view key) {
  std::string name = in.text(key);
  if (name.empty() || name.size() > 100 || name.find('/') != std::string::npos) {
    in.refuse("a generation has another form of name", name.substr(0, 100),
              "1 to 100 characters without '/'");
  }
  return name;
}

BlockRange read_range(TextRecord& in, std::uint64_t expected_begin) {
  const std::string value = in.text("range");
  BlockRange range;
  const char* end = value.data() + value.size();
  const auto first = std::from_chars(value.data(), end, range.begin);
  if (first.ec == std::errc{} && first.ptr != end && *first.ptr == ' ') {
    const auto second = std::from_chars(first.ptr + 1, end, range.end);
    if (second.ec == std::errc{} && second.ptr == end && range.begin == expected_begin &&
        range.end >= range.begin && range.end <= max_blocks) {
      return range;
    }
  }
  in.refuse("a rank's block range does not go on where the last one ended", value,
            std::to_string(expected_begin) + " END");
}

}  // namespace

bool is_nonce(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string encode_key(const ExchangeId& exchange, const KeyFile& key) {
  TextWriter out(key_title);
  out.add("exchange", exchange.text());
  out.add("public_key", key.public_key.hex());
  out.add("round", exchange.round.value());
  out.add("state_digest", key.state_digest.hex());
  out.add("num_ranks", key.num_ranks);
  out.add("generation", key.generation);
  return out.text();
}

KeyFile decode_key(const ExchangeId& exchange, std::string text, const std::string& where) {
  TextRecord in(std::move(text), key_title, where);
  KeyFile key;
  read_exchange(in, exchange);
  key.public_key = crypto::SealKey{in.digest("public_key").bytes};
  const std::uint64_t round = in.number("round", 0xffff'ffffU);
  if (round != exchange.round.value()) {
    in.refuse("the file is of another round", std::to_string(round),
              std::to_string(exchange.round.value()));
  }
  key.state_digest = in.digest("state_digest");
  key.num_ranks = static_cast<std::uint32_t>(in.number("num_ranks", max_ranks));
  key.generation = read_name(in, "generation");
  in.finish();
  return key;
}

std::string encode_commit(const ExchangeId& exchange, const CommitRecord& record) {
  TextWriter out(commit_title);
  out.add("exchange", exchange.text());
  out.add("try", record.try_nonce);
  out.add("manifest", record.manifest.hex());
  out.add("state_digest", record.state_digest.hex());
  out.add("lane_bits", static_cast<std::uint64_t>(record.lane));
  out.add("block_log2", static_cast<std::uint64_t>(record.block_log2));
  out.add("num_elements", record.num_elements);
  out.add("generation", record.generation);
  out.add("num_ranks", record.ranges.size());
  for (const BlockRange& range : record.ranges) {
    out.add("range", std::to_string(range.begin) + " " + std::to_string(range.end));
  }
  for (const Digest& leaf : record.leaves) out.add("block", leaf.hex());
  out.add("weight", record.weight_leaf.hex());
  return out.text();
}

CommitRecord decode_commit(const ExchangeId& exchange, std::string text, const std::string& where) {
  TextRecord in(std::move(text), commit_title, where);
  CommitRecord record;
  read_exchange(in, exchange);
  record.try_nonce = read_nonce(in, "try");
  record.manifest = in.digest("manifest");
  record.state_digest = in.digest("state_digest");
  record.lane = exact::lane_from_bits(static_cast<int>(in.number("lane_bits", 32)), where);
  record.block_log2 = static_cast<int>(in.number("block_log2", 32));
  record.num_elements = in.number("num_elements", max_elements);
  record.generation = read_name(in, "generation");
  const std::uint64_t num_ranks = in.number("num_ranks", max_ranks);
  std::uint64_t end = 0;
  for (std::uint64_t rank = 0; rank < num_ranks; ++rank) {
    record.ranges.push_back(read_range(in, end));
    end = record.ranges.back().end;
  }
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(record.block_log2);
  const std::uint64_t num_blocks = (record.num_elements + length - 1) / length;
  if (end != num_blocks) {
    in.refuse("the ranks' ranges are not all blocks", std::to_string(end) + " blocks",
              std::to_string(num_blocks));
  }
  for (std::uint64_t block = 0; block < num_blocks; ++block) {
    record.leaves.push_back(in.digest("block"));
  }
  record.weight_leaf = in.digest("weight");
  in.finish();
  return record;
}

std::string encode_closed(const ExchangeId& exchange, const ClosedRecord& record) {
  TextWriter out(closed_title);
  out.add("exchange", exchange.text());
  out.add("manifest", record.manifest.hex());
  out.add("state_digest", record.state_digest.hex());
  out.add("took_part", record.took_part ? "yes" : "no");
  out.add("num_survivors", record.survivors.size());
  for (const SiteId survivor : record.survivors) out.add("survivor", survivor.value());
  out.add("total_weight", record.total_weight);
  out.add("aggregate_root", record.aggregate_root.hex());
  return out.text();
}

ClosedRecord decode_closed(const ExchangeId& exchange, std::string text, const std::string& where) {
  TextRecord in(std::move(text), closed_title, where);
  ClosedRecord record;
  read_exchange(in, exchange);
  record.manifest = in.digest("manifest");
  record.state_digest = in.digest("state_digest");
  const std::string took_part = in.text("took_part");
  if (took_part != "yes" && took_part != "no") {
    in.refuse("took_part is neither yes nor no", took_part, "yes or no");
  }
  record.took_part = took_part == "yes";
  const std::uint64_t count = in.number("num_survivors", exact::max_sites);
  for (std::uint64_t i = 0; i < count; ++i) {
    const SiteId survivor{static_cast<std::uint32_t>(in.number("survivor", 0xffff'fffeU))};
    if (!record.survivors.empty() && survivor <= record.survivors.back()) {
      in.refuse("survivors are not in ascending order", std::to_string(survivor.value()),
                "above " + std::to_string(record.survivors.back().value()));
    }
    record.survivors.push_back(survivor);
  }
  record.total_weight = in.number("total_weight", ~std::uint64_t{0});
  record.aggregate_root = in.digest("aggregate_root");
  in.finish();
  return record;
}

}  // namespace concordat::site
