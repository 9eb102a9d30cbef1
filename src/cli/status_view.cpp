#include "cli/status_view.hpp"

#include <charconv>
#include <map>

#include "cli/schema.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

constexpr std::size_t newest_steps = 50;
// Room for far more lines than that; the file itself may have millions.
constexpr std::uint64_t tail_bytes = 64U << 10U;

std::string tail_of(FileSystem& fs, const Path& path) {
  if (!fs.exists(path)) return {};
  auto file = fs.open(path, OpenMode::read);
  const std::uint64_t size = file->size();
  Bytes bytes(std::min(size, tail_bytes));
  file->read_at(size - bytes.size(), bytes);
  return to_string(bytes);
}

/// The name that a short file holds; empty without it.
std::string name_in(FileSystem& fs, const Path& path) {
  constexpr std::uint64_t longest = 1024;
  if (!fs.exists(path)) return {};
  const std::string text = read_text(fs, path, longest);
  return text.substr(0, text.find('\n'));
}

struct StepLine {
  std::int64_t step = 0;
  std::int64_t round = 0;
  std::int64_t time = 0;
  double loss = 0.0;
  double tokens = 0.0;
  double tokens_per_s = 0.0;
};

/// Of a line of metrics.jsonl; nullopt if it is no whole line of a step.
std::optional<StepLine> step_of(std::string_view line) {
  try {
    const std::string where = "metrics.jsonl";
    const JsonValue json = JsonValue::parse(line, where);
    if (json.at("event", where).text(where) != "step") return std::nullopt;
    const auto number = [&](const char* key) { return json.at(key, where).real(where); };
    const auto whole = [&](const char* key) { return json.at(key, where).integer(where); };
    return StepLine{.step = whole("step"),
                    .round = whole("round"),
                    .time = whole("time"),
                    .loss = number("loss"),
                    .tokens = number("tokens"),
                    .tokens_per_s = number("tokens_per_s")};
  } catch (const Error&) {
    return std::nullopt;  // the job may be writing it
  }
}

/// The newest steps of one course, newest first.
std::vector<StepLine> steps_of(std::string_view text) {
  std::vector<StepLine> steps;
  while (!text.empty() && steps.size() < newest_steps) {
    if (text.back() == '\n') text.remove_suffix(1);
    const std::size_t begin = text.rfind('\n') + 1;  // npos + 1 is 0
    const auto step = step_of(text.substr(begin));
    text = text.substr(0, begin);
    if (!step) continue;
    // A restart takes steps again; what came before it is another stretch of time.
    if (!steps.empty() && step->step >= steps.back().step) break;
    steps.push_back(*step);
  }
  return steps;
}

std::optional<RunPace> pace_of(FileSystem& fs, const Path& folder) {
  const std::string text = tail_of(fs, folder / "metrics.jsonl");
  const auto steps = steps_of(text);
  if (steps.empty()) return std::nullopt;
  const StepLine& last = steps.front();
  RunPace pace{.steps_done = last.step + 1,
               .round = last.round,
               .loss = last.loss,
               .unix_seconds = last.time};
  double seconds = 0.0;
  double tokens = 0.0;
  for (const StepLine& step : steps) {
    if (!(step.tokens_per_s > 0.0)) continue;
    seconds += step.tokens / step.tokens_per_s;
    tokens += step.tokens;
  }
  if (seconds > 0.0) {
    pace.tokens_per_s = tokens / seconds;
    pace.step_seconds = seconds / static_cast<double>(steps.size());
  }
  const std::int64_t between = last.step - steps.back().step;
  if (between >= 5 && last.time > steps.back().time) {
    pace.wall_seconds =
        static_cast<double>(last.time - steps.back().time) / static_cast<double>(between);
  }
  return pace;
}

std::optional<RunPlan> plan_of(FileSystem& fs, const Path& folder) {
  const Path path = folder / "effective.toml";
  if (!fs.exists(path)) return std::nullopt;
  try {
    const Config config =
        Config::load_text(site_schema(SiteNeeded::no), read_text(fs, path), path.string());
    return RunPlan{.rounds = config.integer("run.rounds"),
                   .inner_steps = config.integer("run.inner_steps"),
                   .federated = !config.text("federation.roster").empty(),
                   .spools = config.text("federation.road") == "spool"};
  } catch (const Error&) {
    return std::nullopt;  // of another version: the rest can still be told
  }
}

std::optional<std::int64_t> round_of(std::string_view name) {
  constexpr std::string_view prefix = "round-";
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::int64_t round = 0;
  const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), round);
  if (status != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  return round;
}

std::optional<RunExchange> exchange_of(FileSystem& fs, const Path& folder) {
  std::optional<RunExchange> newest;
  for (const std::string& name : fs.list(folder / "outbox")) {
    const auto round = round_of(name);
    if (!round || (newest && newest->round >= *round)) continue;
    newest = RunExchange{.round = *round,
                         .committed = fs.exists(folder / "outbox" / name / "COMMIT"),
                         .closed = fs.exists(folder / "inbox" / name / "CLOSED")};
  }
  return newest;
}

std::optional<IdleStarts> idle_starts_of(FileSystem& fs, const Path& folder) {
  const Path path = folder / "progress.json";
  if (!fs.exists(path)) return std::nullopt;
  try {
    constexpr std::uint64_t longest = 4096;
    const std::string where = path.string();
    const JsonValue json = JsonValue::parse(read_text(fs, path, longest), where);
    if (json.at("reached", where).text(where) != "start") return std::nullopt;
    const IdleStarts found{.jobs = json.at("starts", where).integer(where),
                           .step = json.at("step", where).integer(where)};
    return found.jobs > 1 ? std::optional(found) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<checkpoint::Listed> newest_of(FileSystem& fs, const Path& checkpoints) {
  for (const std::string& name : checkpoint::list_generations(fs, checkpoints)) {
    auto row = checkpoint::inspect_generation(fs, checkpoints / name);
    if (row.manifest) return row;
  }
  return std::nullopt;
}

/// "role=train host=n042 pid=711 job=1234" -> "host n042, pid 711, job 1234".
std::string holder_text(const std::string& line) {
  std::string text;
  for (std::size_t begin = 0; begin < line.size();) {
    const std::size_t end = std::min(line.find_first_of(" \n", begin), line.size());
    const std::string part = line.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || part == "job=-" || part.starts_with("role=")) continue;
    text += (text.empty() ? "" : ", ") + part.substr(0, equals) + " " + part.substr(equals + 1);
  }
  return text;
}

}  // namespace

Holder look_at_lock(FileSystem& fs, const Path& lock) {
  if (const auto held = role_holder(lock)) return {.held = true, .line = holder_text(*held)};
  try {
    constexpr std::uint64_t longest = 4096;
    if (fs.exists(lock)) return {.held = false, .line = holder_text(read_text(fs, lock, longest))};
  } catch (const Error&) {
    // Whoever wrote it says no more.
  }
  return {};
}

Path spool_of(FileSystem& fs, const RunView& view, const Path& site) {
  const std::string said = view.border ? view.border->spool : "";
  if (said.empty() && !(view.plan && view.plan->spools)) return {};
  // Of a copy, or seen from another machine, what the border said may not be there.
  return !said.empty() && fs.is_directory(said) ? Path(said) : site / "spool";
}

RunView look_at_run(FileSystem& fs, const Path& folder) {
  RunView view;
  view.name = folder.filename().string();
  view.plan = plan_of(fs, folder);
  view.pace = pace_of(fs, folder);
  view.newest = newest_of(fs, folder / "checkpoints");
  view.ranks = look_at_lock(fs, folder / "train.lock");
  view.exchange = exchange_of(fs, folder);
  view.border = site::read_border_page(fs, folder);
  view.idle_starts = idle_starts_of(fs, folder);
  view.stop = fs.exists(folder / "STOP");
  view.save = fs.exists(folder / "SAVE");
  view.requeue = fs.exists(folder / "REQUEUE");
  view.needs_state = name_in(fs, folder / "NEEDS_STATE");
  view.donate = name_in(fs, folder / "DONATE");
  return view;
}

bool RunView::finished() const {
  if (!plan || !newest) return false;
  const auto& position = newest->manifest->position;
  // Of a federated run the state after the last exchange is saved last, under the round after it.
  if (plan->federated) return position.round >= static_cast<std::uint64_t>(plan->rounds);
  return position.step >= static_cast<std::uint64_t>(plan->total_steps());
}

std::string RunView::where() const {
  if (finished()) return "finished";
  const std::int64_t done = pace ? pace->steps_done : 0;
  if (!exchange) {
    if (done == 0) return ranks.held ? "before its first step" : "not begun";
    return ranks.held ? "training" : "stopped in training";
  }
  const std::string round = "round " + std::to_string(exchange->round) + ": ";
  const std::string back = ranks.held ? "" : " when the training job runs again";
  if (exchange->closed) return round + "closed, the sum is here; the outer step follows" + back;
  if (exchange->committed) return round + "committed, waiting for the other sites";
  if (plan && done >= (exchange->round + 1) * plan->inner_steps) {
    return round + "inner steps done, waiting to mask the update" + back;
  }
  std::string text = round + (ranks.held ? "training" : "stopped in training");
  if (plan) {
    const std::int64_t in_round =
        std::max<std::int64_t>(0, done - exchange->round * plan->inner_steps);
    text += ", step " + std::to_string(in_round) + " of " + std::to_string(plan->inner_steps);
  }
  return text;
}

}  // namespace concordat::cli
