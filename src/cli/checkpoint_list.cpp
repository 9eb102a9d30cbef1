#include <iostream>

#include "cli/checkpoint_commands.hpp"
#include "cli/checkpoint_place.hpp"
#include "cli/site_command.hpp"
#include "cli/text_table.hpp"
#include "concordat/checkpoint/inspect.hpp"
#include "concordat/core/file_time.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using checkpoint::Listed;
using checkpoint::Standing;

std::string metadata(const Listed& row, std::string_view key) {
  if (!row.manifest) return "";
  const auto found = row.manifest->metadata.find(std::string(key));
  return found == row.manifest->metadata.end() ? "" : found->second;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string note(const Listed& row) {
  std::string text = row.latest ? "LATEST" : "";
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  if (row.standing != Standing::generation) add(std::string(name_of(row.standing)));
  // What is being written or removed is not whole, and nobody is to worry about it.
  const bool passing = row.standing == Standing::unfinished || row.standing == Standing::removed;
  if (row.newer && row.standing == Standing::generation) {
    add("a restart refuses: " + row.reason);
  } else if (!row.reason.empty() && !passing) {
    add("DAMAGED: " + row.reason);
  }
  return text;
}

std::string table(const std::vector<Listed>& rows) {
  const std::vector<std::string> header{"generation", "step",        "round", "size", "layout",
                                        "precision",  "saved (UTC)", "state", "note"};
  const std::vector<Align> align{Align::left, Align::right, Align::right, Align::right, Align::left,
                                 Align::left, Align::left,  Align::left,  Align::left};
  std::vector<std::vector<std::string>> texts;
  for (const Listed& row : rows) {
    const auto* manifest = row.manifest ? &*row.manifest : nullptr;
    texts.push_back(
        {row.name, manifest ? std::to_string(manifest->position.step) : "-",
         manifest ? std::to_string(manifest->position.round) : "-", observe::short_bytes(row.bytes),
         or_dash(metadata(row, checkpoint::keys::layout)),
         or_dash(metadata(row, checkpoint::keys::precision)), utc_text(row.saved_unix_seconds),
         or_dash(metadata(row, checkpoint::keys::state_digest).substr(0, 16)), note(row)});
  }
  return text_table(header, align, texts);
}

JsonValue document(const std::string& folder, const std::vector<Listed>& rows) {
  std::vector<JsonValue> list;
  for (const Listed& row : rows) {
    JsonValue one = JsonValue::object();
    one.add("name", row.name)
        .add("standing", name_of(row.standing))
        .add("latest", row.latest)
        .add("bytes", row.bytes)
        .add("saved_unix_seconds", row.saved_unix_seconds)
        .add("problem", row.reason)
        .add("newer", row.newer);
    if (row.manifest) {
      one.add("step", row.manifest->position.step)
          .add("round", row.manifest->position.round)
          .add("datasets", row.manifest->datasets.size())
          .add("metadata", JsonValue(row.manifest->metadata));
    }
    list.push_back(std::move(one));
  }
  JsonValue whole = JsonValue::object();
  whole.add("folder", folder).add("generations", std::move(list));
  return whole;
}

}  // namespace

int checkpoint_list(const Args& given) {
  Args args = given;
  const bool json = take_flag(args, "json").has_value();
  Flags flags("checkpoint list", args, {});
  flags.expect_positional({"FOLDER"});
  const CheckpointPlace place = find_checkpoints(flags.positional()[0]);
  std::vector<Listed> rows;
  if (place.generation.empty()) {
    rows = checkpoint::inspect_folder(posix_files(), place.folder);
  } else {
    rows.push_back(checkpoint::inspect_generation(posix_files(), place.path()));
    rows.front().latest =
        checkpoint::latest_generation(posix_files(), place.folder) == place.generation;
  }
  if (json) {
    std::cout << document(place.path().string(), rows).document(JsonValue::NotUtf8::replace);
  } else if (rows.empty()) {
    std::cout << "no generation in " << place.folder.string() << '\n';
  } else {
    std::cout << table(rows);
  }
  return 0;
}

}  // namespace concordat::cli
