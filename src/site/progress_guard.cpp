#include "site/progress_guard.hpp"

#include "concordat/core/json_value.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {

ProgressGuard::ProgressGuard(FileSystem& fs, const FileSystem::Path& run_folder)
    : fs_(fs), path_(run_folder / "progress.json") {}

// Jobs in a row that began here and got no further.
std::int64_t ProgressGuard::idle_starts() const {
  const std::string where = path_.string();
  try {
    const JsonValue last = JsonValue::parse(read_text(fs_, path_, 4096), where);
    const bool here = last.at("step", where).integer(where) == step_ &&
                      last.at("round", where).integer(where) == round_;
    const std::int64_t starts = last.at("starts", where).integer(where);
    return here && last.at("reached", where).text(where) == "start" ? starts : 0;
  } catch (const Error& error) {
    if (!(error.code() == concordat::errors::malformed)) throw;
    throw Error(concordat::errors::malformed,
                {.what = "the record of jobs without progress cannot be read",
                 .where = where,
                 .found = error.fields().what + ": " + error.fields().found,
                 .expected = "what the job before wrote",
                 .remedy = "remove it: the count of jobs without progress begins anew"});
  }
}

void ProgressGuard::started(std::int64_t step, std::uint32_t round) {
  step_ = step;
  round_ = round;
  starts_ = 1;
  if (fs_.exists(path_)) starts_ += idle_starts();
  if (starts_ > max_idle_starts) {
    throw Error(errors::no_progress,
                {.what = "the jobs before this one made no progress",
                 .where = path_.string(),
                 .found = std::to_string(starts_ - 1) + " jobs in a row began at step " +
                          std::to_string(step) + ", round " + std::to_string(round) +
                          " and saved nothing further",
                 .expected = "a later step or round than the job before",
                 .remedy = "look into their logs; the time limit must leave room for one save and "
                           "job.stop_margin_s. Then remove progress.json and start again"});
  }
  write("start");
}

void ProgressGuard::note(const char* reached) {
  if (starts_ > 0) write(reached);
}

void ProgressGuard::write(const char* reached) {
  JsonValue page = JsonValue::object();
  page.add("step", step_).add("round", round_).add("starts", starts_).add("reached", reached);
  write_atomically(fs_, path_, as_bytes(page.document()));
}

}  // namespace concordat::site
