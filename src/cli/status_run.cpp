#include <cmath>
#include <cstdio>

#include "cli/spool_text.hpp"
#include "cli/status_print.hpp"
#include "cli/status_view.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

// Twice what a border lets pass between two pages.
constexpr std::int64_t page_is_fresh = 60;
constexpr std::int64_t metrics_are_fresh = 120;

std::string text_of(const char* pattern, double value) {
  char text[48];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string of_total(std::int64_t done, std::int64_t total) {
  return std::to_string(done) + " of " + std::to_string(total);
}

std::string progress_text(const RunView& view) {
  const std::int64_t done = view.pace ? view.pace->steps_done : 0;
  if (!view.plan) return "step " + std::to_string(done);
  std::string text = "step " + of_total(done, view.plan->total_steps());
  std::int64_t round = view.exchange ? view.exchange->round : 0;
  if (!view.exchange && view.plan->inner_steps > 0) round = done / view.plan->inner_steps;
  text += ", rounds done: " + of_total(std::min(round, view.plan->rounds), view.plan->rounds);
  if (view.pace) text += ", loss " + text_of("%.3f", view.pace->loss);
  return text;
}

/// A lock's file says who had it last; not every file system shows another host's locks.
std::string holder_text(const Holder& holder) {
  if (holder.held) return "running: " + holder.line;
  if (holder.line.empty()) return "not running";
  return "not running as seen from this host; last: " + holder.line;
}

/// A file of the future is of before a clock was set back, and as old as any.
bool fresh(std::int64_t unix_seconds, std::int64_t limit, std::int64_t now) {
  return std::abs(now - unix_seconds) <= limit;
}

std::string ranks_text(const RunView& view, std::int64_t now) {
  std::string text = holder_text(view.ranks);
  if (view.ranks.held || view.finished() || !view.pace) return text;
  if (!fresh(view.pace->unix_seconds, metrics_are_fresh, now)) return text;
  return text + "; its newest step is from " + ago(view.pace->unix_seconds, now) +
         ", so it may run on another host";
}

bool border_seems_to_run(const RunView& view, const Holder& border, std::int64_t now) {
  if (border.held) return true;
  return view.border && view.border->end.empty() && fresh(view.border->updated, page_is_fresh, now);
}

/// Why the site does not go on by itself, as far as its own files tell.
std::string waits_text(const RunView& view, const Holder& border, std::int64_t now) {
  if (!border_seems_to_run(view, border, now)) {
    return "no border runs: start 'concordat border SITE.toml' where there is a road to the "
           "coordinator";
  }
  if (!view.border) return "the border runs";
  const site::BorderPage& page = *view.border;
  std::string text = "the border " + page.text();
  if (!page.trouble.empty()) {
    text += "; since " + ago(page.trouble_since, now);
    return text;
  }
  text += ", since " + ago(page.phase_since, now);
  if (page.reached > 0) text += "; the coordinator answered " + ago(page.reached, now);
  if (page.phase == "idle" || page.phase == "going" || page.phase == "fetching") return text;
  return text + "; 'concordat status' at the coordinator says who is missing";
}

std::string left_text(const RunView& view) {
  const RunPace& pace = *view.pace;
  const auto left = static_cast<double>(view.plan->total_steps() - pace.steps_done);
  std::string text = observe::short_time(left * pace.step_seconds) + " of training at " +
                     text_of("%.3g", pace.step_seconds) + " s a step";
  if (pace.wall_seconds > 1.1 * pace.step_seconds) {
    text += "; " + observe::short_time(left * pace.wall_seconds) + " with waits as of late";
  }
  return text;
}

std::string checkpoint_text(const RunView& view, std::int64_t now) {
  if (!view.newest) return "none that can be read";
  const auto& row = *view.newest;
  std::string text = row.name + ", saved " + ago(row.saved_unix_seconds, now) + ", " +
                     observe::short_bytes(row.bytes);
  if (!row.reason.empty()) text += ", DAMAGED: " + row.reason;
  return text;
}

std::string requests_text(const RunView& view) {
  std::string text;
  const auto add = [&](bool there, const char* more) {
    if (there) text += (text.empty() ? "" : "; ") + std::string(more);
  };
  add(view.stop, view.ranks.held ? "STOP: the job is asked to save and end"
                                 : "STOP: the next job will save and end at once");
  add(view.save, "SAVE: the job is asked to save");
  add(view.requeue, "REQUEUE: the last job wants to run again");
  const std::string needed = "NEEDS_STATE: the run's state is lost; the border waits for " +
                             view.needs_state + " to give its own";
  add(!view.needs_state.empty(), needed.c_str());
  const std::string given = "DONATE: the border is asked to give its state to " + view.donate;
  add(!view.donate.empty(), given.c_str());
  return text;
}

}  // namespace

std::string run_status(const Path& run, const Path& site, std::int64_t now) {
  FileSystem& fs = posix_files();
  const RunView view = look_at_run(fs, run);
  const Holder border = look_at_lock(fs, site / "border.lock");
  const bool over = view.finished();
  std::string text = status_row("run " + view.name, view.where());
  text += status_row("  progress", progress_text(view));
  if (view.pace && view.pace->tokens_per_s > 0.0) {
    text += status_row("  rate", observe::short_count(view.pace->tokens_per_s) +
                                     " tokens/s while it trains; newest step " +
                                     ago(view.pace->unix_seconds, now));
    const bool more = view.plan && view.pace->steps_done < view.plan->total_steps();
    if (!over && more) text += status_row("  left", left_text(view));
  }
  text += status_row("  checkpoint", checkpoint_text(view, now));
  text += status_row("  ranks", ranks_text(view, now));
  const bool federated = view.plan ? view.plan->federated : view.exchange.has_value();
  if (federated) {
    text += status_row("  border", holder_text(border));
    if (!over) text += status_row("  waits", waits_text(view, border, now));
    if (const Path spool = spool_of(fs, view, site); !spool.empty()) {
      text +=
          status_row("  spool", spool_text(border::look_at_spool(fs, spool), SpoolEnd::site, now));
    }
  }
  if (view.idle_starts && !view.ranks.held && !over) {
    text += status_row("  no progress", std::to_string(view.idle_starts->jobs) +
                                            " jobs in a row began at step " +
                                            std::to_string(view.idle_starts->step) +
                                            " and saved nothing further: their logs say why");
  }
  if (const std::string requests = requests_text(view); !requests.empty()) {
    text += status_row("  asked", requests);
  }
  return text;
}

}  // namespace concordat::cli
