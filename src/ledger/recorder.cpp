#include "concordat/ledger/recorder.hpp"

#include "concordat/core/error.hpp"
#include "concordat/ledger/errors.hpp"

namespace concordat::ledger {
namespace {

constexpr std::string_view lock_name = "border.lock";
constexpr std::string_view folder_name = "handover";
// In the lock's line: somebody who writes one entry and is gone.
constexpr std::string_view moment = "-entry ";
constexpr std::chrono::milliseconds lock_pause{50};
constexpr int lock_tries = 200;
// Somebody who asks who holds the lock has it for an instant (role_holder), whatever its line says.
constexpr int lock_tries_of_others = 5;

[[noreturn]] void turned_away(const Entry& entry, const Answer& answer) {
  const bool conflict = answer.refused == errors::conflict.name;
  throw Error(
      conflict ? errors::conflict : errors::not_taken,
      {.what = "the ledger's writer turned the entry away",
       .where = "entry " + entry.key,
       .found = answer.reason,
       .expected = "an entry that the ledger may take",
       .remedy = conflict ? "an act is recorded once: find out why it is repeated differently"
                          : "the writer's log and the ledger's refusal entry say more"});
}

}  // namespace

SiteRecorder::SiteRecorder(FileSystem& fs, FileSystem::Path site_folder, std::string role,
                           WithLedger with_ledger)
    : lock_path_(site_folder / lock_name),
      role_(std::move(role)),
      with_ledger_(std::move(with_ledger)),
      desk_(fs, site_folder / folder_name) {}

std::optional<std::string> SiteRecorder::writer() const { return role_holder(lock_path_); }

std::optional<Answer> SiteRecorder::write_here(const Entry& entry) {
  if (!with_ledger_) return std::nullopt;
  std::optional<RoleLock> lock;
  try {
    lock.emplace(lock_path_, role_ + "-entry");
  } catch (const Error& error) {
    if (!(error.code() == concordat::errors::in_use)) throw;
    return std::nullopt;
  }
  Answer answer;
  with_ledger_([&](Ledger& ledger) {
    answer.found = ledger.has_key(entry.key);
    answer.index = ledger.append_keyed(entry);
    desk_.forget(HandOver::name_of(entry));
    desk_.take(ledger);
    ledger.checkpoint();
  });
  return answer;
}

std::optional<Answer> SiteRecorder::record(const Entry& entry) {
  require_as_built(entry, entry.kind + " entry " + entry.key);
  if (auto written = write_here(entry)) return written;
  out_.insert_or_assign(desk_.put(entry), entry);
  return std::nullopt;
}

std::optional<Answer> SiteRecorder::look(const Entry& entry) {
  const std::string name = HandOver::name_of(entry);
  std::optional<Answer> answer = desk_.answer(name);
  if (!answer && !desk_.waits(name)) {
    // The writer answers before it takes the entry away, so the answer is there now, unless a
    // writer that started swept it.
    answer = desk_.answer(name);
    if (!answer) desk_.put(entry);
  }
  if (!answer) answer = write_here(entry);
  if (!answer) return std::nullopt;
  desk_.forget(name);
  out_.erase(name);
  if (!answer->refused.empty()) turned_away(entry, *answer);
  return answer;
}

bool SiteRecorder::settled() {
  const auto waiting = out_;  // look() takes from it
  for (const auto& [name, entry] : waiting) look(entry);
  return out_.empty();
}

RoleLock take_writer_lock(const FileSystem::Path& site_folder, Clock& clock) {
  for (int tries = 0;; ++tries) {
    try {
      return RoleLock(site_folder / lock_name, "border");
    } catch (const Error& error) {
      if (!(error.code() == concordat::errors::in_use)) throw;
      const bool passing = error.fields().found.find(moment) != std::string::npos;
      if (tries >= (passing ? lock_tries : lock_tries_of_others)) throw;
    }
    clock.sleep(lock_pause);
  }
}

}  // namespace concordat::ledger
