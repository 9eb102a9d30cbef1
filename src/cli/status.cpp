// `concordat status`: where a site or a coordinator stands, from its files alone.
#include <iostream>
#include <map>

#include "cli/command.hpp"
#include "cli/status_print.hpp"
#include "cli/status_view.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/error.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/verify.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

std::string help() {
  return "concordat status: where a site, a run or the coordinator stands, from files alone.\n\n"
         "usage:\n"
         "  concordat status FOLDER\n\n"
         "FOLDER is the folder of a site, of one of its runs (SITE/runs/NAME), or of the\n"
         "coordinator; a copy or a login node's view of it will do. Of a run: where in the round\n"
         "the site is and what it waits for, steps and rounds done, loss, rate without waits,\n"
         "time left, newest checkpoint, who runs (host, process, job), and whether STOP, SAVE or\n"
         "REQUEUE lie there. Of a coordinator: the exchange that is under way and who is missing.\n"
         "On the road spool: how many files wait to be carried up and down, and for how long.\n"
         "Of a site or a coordinator also what has crossed the border so far, by kind.\n"
         "Opens no socket and needs no secret. Locks of another host are not seen on every file\n"
         "system; the newest step and the border's page (border.json) then say who is alive.\n";
}

void row(const std::string& label, const std::string& text) {
  std::cout << status_row(label, text);
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
  // The writer signs when a round is closed and when it ends.
  const bool unsigned_yet =
      log.faults.size() == 1 && !posix_files().exists(folder / "ledger" / "checkpoint");
  const std::string standing = log.faults.empty() ? "verified"
                               : unsigned_yet     ? "each verified, not signed yet"
                                                  : log.faults.front().text();
  row("ledger", std::to_string(log.entries.size()) + " entries, " + std::to_string(refusals) +
                    " refusals, " + standing);
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

bool is_run(const Path& folder) {
  return posix_files().is_directory(folder / "outbox") ||
         posix_files().exists(folder / "train.lock") ||
         posix_files().exists(folder / "effective.toml");
}

void show_run(const Path& run, const Path& site, std::int64_t now) {
  std::cout << run_status(run, site, now);
}

void show_site(const Path& folder, std::int64_t now) {
  FileSystem& fs = posix_files();
  const Holder border = look_at_lock(fs, folder / "border.lock");
  // A site that trains alone never had one.
  if (border.held || !border.line.empty()) {
    row("border", border.held ? "running: " + border.line : "not running as seen from this host");
  }
  if (fs.exists(folder / "STOP")) row("asked", "STOP: the border is asked to end");
  for (const std::string& name : fs.list(folder / "runs")) {
    show_run(folder / "runs" / name, folder, now);
  }
  show_crossings(folder);
  show_handed(folder);
}

[[noreturn]] void refuse(const Path& folder) {
  const bool there = posix_files().exists(folder);
  throw Error(errors::not_found,
              {.what = there ? "this is no folder of a site, a run or a coordinator"
                             : "the folder is not there",
               .where = folder.string(),
               .found = there ? "none of keys/, ledger/, outbox/ and train.lock" : "nothing",
               .expected = "the folder that site.toml or coordinator.toml names, or "
                           "SITE/runs/NAME",
               .remedy = "concordat status --help"});
}

int run(const Args& args) {
  Flags flags("status", args, {});
  flags.expect_positional({"FOLDER"});
  FileSystem& fs = posix_files();
  Path folder = std::filesystem::absolute(flags.positional()[0]).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  const std::int64_t now = system_clock().unix_seconds();
  const bool member = fs.is_directory(folder / "keys") || fs.is_directory(folder / "ledger");
  if (!member && !is_run(folder)) refuse(folder);
  row("folder", folder.string());
  if (fs.exists(folder / "coordinator.lock") || fs.exists(folder / "exchanges")) {
    std::cout << coordinator_status(folder, now);
    show_crossings(folder);
  } else if (member) {
    show_site(folder, now);
  } else {
    show_run(folder, folder.parent_path().parent_path(), now);
  }
  return 0;
}

}  // namespace

std::string status_row(std::string_view label, std::string_view text) {
  std::string padded(label);
  padded.resize(std::max<std::size_t>(13, label.size() + 1), ' ');
  return padded + std::string(text) + "\n";
}

std::string ago(std::int64_t unix_seconds, std::int64_t now) {
  constexpr std::int64_t minute = 60;
  const std::int64_t seconds = now - unix_seconds;
  if (seconds < -minute) {
    return observe::short_time(static_cast<double>(-seconds)) + " from now by this clock";
  }
  if (seconds <= 2) return "just now";
  if (seconds < 2 * minute) return std::to_string(seconds) + " s ago";
  constexpr std::int64_t day = 24 * 60 * minute;
  if (seconds >= 2 * day) return std::to_string(seconds / day) + " days ago";
  return observe::short_time(static_cast<double>(seconds)) + " ago";
}

const Command status_command{"status", "where a site or the coordinator stands, from files alone",
                             help, run};

}  // namespace concordat::cli
