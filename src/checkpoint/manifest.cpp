#include "checkpoint/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "checkpoint/extents.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::checkpoint {

namespace {

using Json = nlohmann::json;

constexpr std::string_view format_family = "concordat-checkpoint-";
constexpr std::uint64_t format_version = 1;
constexpr std::string_view format_name = "concordat-checkpoint-1";

[[noreturn]] void throw_malformed(const std::string& where, const std::string& what,
                                  const std::string& found = "", const std::string& expected = "") {
  throw Error(concordat::errors::malformed,
              {.what = what,
               .where = where,
               .found = found,
               .expected = expected,
               .remedy = "an older generation is used if there is one"});
}

std::string digest_of(const Json& body) { return crypto::sha256(as_bytes(body.dump())).hex(); }

/// The digest of the body is right when this is asked: it is no accident what stands here.
void check_format(const std::string& format, const std::string& where) {
  if (format == format_name) return;
  std::uint64_t version = 0;
  if (format.starts_with(format_family)) {
    const char* end = format.data() + format.size();
    const auto [at, code] = std::from_chars(format.data() + format_family.size(), end, version);
    if (code != std::errc{} || at != end) version = 0;
  }
  if (version <= format_version)
    throw_malformed(where, "another format", format, std::string(format_name));
  throw Error(errors::newer_version,
              {.what = "a checkpoint was written by a newer version of concordat",
               .where = where,
               .found = format,
               .expected = std::string(format_name) + " at most",
               .remedy = "go on with that version, or move the generation out of the folder"});
}

void check_extents(const Manifest& manifest, const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  for (const auto& dataset : manifest.datasets) {
    const auto bytes = extent_bytes(dataset);
    if (dataset.offset > manifest.file_bytes || bytes > manifest.file_bytes - dataset.offset) {
      throw_malformed(where, "a dataset leaves the file", dataset.name);
    }
    extents.emplace_back(dataset.offset, bytes);
  }
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i - 1].first + extents[i - 1].second > extents[i].first) {
      throw_malformed(where, "datasets overlap");
    }
  }
}

}  // namespace

std::string encode_manifest(const Manifest& manifest) {
  Json body;
  body["format"] = std::string(format_name);
  body["step"] = manifest.position.step;
  body["round"] = manifest.position.round;
  body["file_bytes"] = manifest.file_bytes;
  body["structure"] = manifest.structure.hex();
  body["block_log2"] = tensor_block_log2;
  body["metadata"] = manifest.metadata;
  body["datasets"] = Json::array();
  for (const auto& dataset : manifest.datasets) {
    body["datasets"].push_back({{"name", dataset.name},
                                {"shape", dataset.shape},
                                {"dtype", std::string(name_of(dataset.dtype))},
                                {"offset", dataset.offset},
                                {"root", dataset.root.hex()}});
  }
  try {
    const Json whole{{"body", body}, {"sha256", digest_of(body)}};
    return whole.dump(1) + "\n";
  } catch (const Json::exception& error) {
    throw_malformed("checkpoint metadata", "a text is not UTF-8", error.what());
  }
}

Manifest decode_manifest(std::string_view text, const std::string& where) {
  Manifest manifest;
  try {
    const Json whole = Json::parse(text);
    const Json& body = whole.at("body");
    const auto promised = whole.at("sha256").get<std::string>();
    if (const auto found = digest_of(body); found != promised) {
      throw_malformed(where, "the manifest was altered", found, promised);
    }
    check_format(body.at("format").get<std::string>(), where);
    if (body.at("block_log2").get<int>() != tensor_block_log2) {
      throw_malformed(where, "another block size", body.at("block_log2").dump());
    }
    manifest.position = {body.at("step").get<std::uint64_t>(),
                         body.at("round").get<std::uint64_t>()};
    manifest.file_bytes = body.at("file_bytes").get<std::uint64_t>();
    manifest.structure = digest_from_hex(body.at("structure").get<std::string>(), where);
    manifest.metadata = body.at("metadata").get<Metadata>();
    for (const Json& entry : body.at("datasets")) {
      Manifest::Dataset dataset;
      dataset.name = entry.at("name").get<std::string>();
      dataset.shape = entry.at("shape").get<Shape>();
      dataset.dtype = dtype_from(entry.at("dtype").get<std::string>(), where);
      dataset.offset = entry.at("offset").get<std::uint64_t>();
      dataset.root = digest_from_hex(entry.at("root").get<std::string>(), where);
      manifest.datasets.push_back(std::move(dataset));
    }
  } catch (const Json::exception& error) {
    throw_malformed(where, "the manifest cannot be read", error.what(), "one as it was written");
  }
  check_extents(manifest, where);
  return manifest;
}

}  // namespace concordat::checkpoint
