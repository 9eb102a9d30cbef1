// `concordat status`: where a site or a coordinator stands, from its files alone.
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "cli/command.hpp"
#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/verify.hpp"
#include "concordat/observe/metrics.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

std::string help() {
  return "concordat status: where a site or the coordinator stands, from its files alone.\n\n"
         "usage:\n"
         "  concordat status FOLDER\n\n"
         "FOLDER is the folder of a site or of the coordinator; a copy or a login node's view of\n"
         "it will do. Prints who runs, each run's step, loss, rate and newest checkpoint, the\n"
         "exchange that is under way, and what has crossed the border so far by kind. Opens no\n"
         "socket and needs no secret.\n";
}

void row(const std::string& label, const std::string& text) {
  std::string padded = label;
  padded.resize(std::max<std::size_t>(12, label.size() + 1), ' ');
  std::cout << padded << text << '\n';
}

std::string holder(const Path& lock) { return role_holder(lock).value_or("not running"); }

/// Of a line of metrics.jsonl; nullopt if it is no whole line of a step.
std::optional<std::string> step_text(const std::string& line) {
  try {
    const std::string where = "metrics.jsonl";
    const JsonValue json = JsonValue::parse(line, where);
    if (json.at("event", where).text(where) != "step") return std::nullopt;
    char numbers[128];
    std::snprintf(numbers, sizeof numbers, "step %lld, round %lld, loss %.3f, %s tokens/s",
                  static_cast<long long>(json.at("step", where).integer(where) + 1),
                  static_cast<long long>(json.at("round", where).integer(where)),
                  json.at("loss", where).real(where),
                  observe::short_count(json.at("tokens_per_s", where).real(where)).c_str());
    return numbers;
  } catch (const Error&) {
    return std::nullopt;  // the job may be writing it
  }
}

void show_run(const Path& folder) {
  std::string text = "no step yet";
  auto lines = observe::read_metrics(posix_files(), folder / "metrics.jsonl");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (auto step = step_text(*line)) {
      text = *step;
      break;
    }
  }
  auto generations = checkpoint::list_generations(posix_files(), folder / "checkpoints");
  text += generations.empty() ? "; no checkpoint" : "; newest checkpoint " + generations.front();
  row("run " + folder.filename().string(), text);
  row("  ranks", holder(folder / "train.lock"));
  auto exchanges = posix_files().list(folder / "outbox");
  std::string newest;
  long newest_round = -1;
  for (const std::string& name : exchanges) {
    long round = name.rfind("round-", 0) == 0 ? std::atol(name.c_str() + 6) : -1;
    if (round > newest_round) {
      newest_round = round;
      newest = name;
    }
  }
  if (newest.empty()) return;
  bool committed = posix_files().exists(folder / "outbox" / newest / "COMMIT");
  bool closed = posix_files().exists(folder / "inbox" / newest / "CLOSED");
  row("  exchange", newest.substr(6) + (closed      ? ": closed, the aggregate is here"
                                        : committed ? ": committed, waiting for the others"
                                                    : ": training or waiting to mask"));
}

void show_crossings(const Path& folder) {
  crypto::PublicKeys keys;
  for (const std::string& name : posix_files().list(folder / "keys")) {
    if (Path(name).extension() == ".pub") {
      keys = crypto::load_public_keys(posix_files(), folder / "keys" / name);
    }
  }
  if (!posix_files().exists(folder / "ledger" / "log.jsonl")) return;
  auto log = ledger::read_log(posix_files(), folder / "ledger",
                              ledger::log_origin(keys.name, keys.log), keys.log);
  struct Total {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Total> out;
  std::map<std::string, Total> in;
  std::uint64_t refusals = 0;
  for (const auto& logged : log.entries) {
    refusals += logged.entry.kind == ledger::kinds::refusal;
    if (!ledger::is_crossing(logged.entry.kind)) continue;
    auto crossing = ledger::crossing_from(logged.entry, log.file);
    Total& total = (crossing.direction == ledger::Direction::out ? out : in)[logged.entry.kind];
    ++total.count;
    total.bytes += crossing.message_bytes + crossing.frame_bytes;
  }
  auto list = [](const std::map<std::string, Total>& totals) {
    std::string text;
    for (const auto& [kind, total] : totals) {
      text += (text.empty() ? "" : ", ") + kind + " " + std::to_string(total.count) + " (" +
              observe::short_bytes(total.bytes) + ")";
    }
    return text.empty() ? std::string("nothing") : text;
  };
  row("sent", list(out));
  row("received", list(in));
  row("ledger", std::to_string(log.entries.size()) + " entries, " + std::to_string(refusals) +
                    " refusals, " + (log.faults.empty() ? "verified" : log.faults.front().text()));
}

/// Entries that `ingest` or a training job left for the ledger's writer.
void show_handed(const Path& folder) {
  std::uint64_t waiting = 0;
  for (const std::string& name : posix_files().list(folder / "handover")) {
    waiting += Path(name).extension() == ".entry" ? 1 : 0;
  }
  if (waiting == 0) return;
  row("handed over", std::to_string(waiting) + (waiting == 1 ? " entry waits" : " entries wait") +
                         " for the border to write the ledger");
}

void show_status_file(const Path& folder) {
  Path path = folder / "status.json";
  if (!posix_files().exists(path)) return;
  const JsonValue json = JsonValue::parse(read_text(posix_files(), path), path.string());
  for (const auto& [key, value] : json.members(path.string())) {
    const bool text = value.kind() == JsonValue::Kind::text;
    row(key, text ? value.text(key) : value.described());
  }
}

int run(const Args& args) {
  Flags flags("status", args, {});
  flags.expect_positional({"FOLDER"});
  Path folder = flags.positional()[0];
  if (!posix_files().is_directory(folder / "keys") &&
      !posix_files().is_directory(folder / "ledger")) {
    throw Error(errors::not_found, {.what = "this is no folder of a site or a coordinator",
                                    .where = folder.string(),
                                    .found = "neither keys/ nor ledger/",
                                    .expected = "the folder that site.toml names",
                                    .remedy = "concordat status --help"});
  }
  row("folder", std::filesystem::absolute(folder).lexically_normal().string());
  bool hub = posix_files().exists(folder / "coordinator.lock");
  row(hub ? "coordinator" : "border", holder(folder / (hub ? "coordinator.lock" : "border.lock")));
  show_status_file(folder);
  for (const std::string& name : posix_files().list(folder / "runs")) {
    show_run(folder / "runs" / name);
  }
  show_crossings(folder);
  show_handed(folder);
  return 0;
}

}  // namespace

const Command status_command{"status", "where a site or the coordinator stands, from files alone",
                             help, run};

}  // namespace concordat::cli
