#include "cli/slurm_plan.hpp"

#include <algorithm>

#include "cli/party_file.hpp"
#include "cli/schema.hpp"
#include "cli/site_command.hpp"
#include "cli/slurm_time.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/site/run_check.hpp"

namespace concordat::cli {
namespace {

constexpr std::string_view command = "slurm init";
constexpr std::uint64_t most = 100'000;
// Slurm may signal up to a minute early, and the job needs some time of its own.
constexpr std::int64_t least_work_s = 60;

[[noreturn]] void refuse(std::string what, std::string where, std::string found,
                         std::string expected, std::string remedy = "concordat slurm --help") {
  throw Error(errors::usage, {.what = std::move(what),
                              .where = std::move(where),
                              .found = std::move(found),
                              .expected = std::move(expected),
                              .remedy = std::move(remedy)});
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// For a message of one line.
std::string printable(std::string text) {
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

template <typename T>
T one_of(const Flags& flags, const char* name, const char* fallback,
         const std::vector<std::pair<std::string_view, T>>& choices) {
  const std::string text = flags.value(name, fallback);
  std::string list;
  for (const auto& [word, value] : choices) {
    if (word == text) return value;
    list += (list.empty() ? "" : ", ") + std::string(word);
  }
  refuse("not a choice for --" + std::string(name), "concordat slurm init", text, list);
}

int whole(const Flags& flags, const char* name, const char* fallback, std::uint64_t low) {
  return static_cast<int>(whole_number(command, name, flags.value(name, fallback), low, most));
}

/// Words that go into the script's head as they are.
std::string word(const std::string& text, const std::string& where) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._,@:/+-";
  if (text.find_first_not_of(plain) != std::string::npos) {
    refuse("a value that a batch script cannot carry", where, printable(text),
           "letters, digits and . _ , @ : / + -", "correct it");
  }
  return text;
}

/// The whole command line stands in the script's head, in one line.
void require_one_line(const Args& args) {
  for (const std::string& arg : args) {
    if (std::none_of(arg.begin(), arg.end(), is_control)) continue;
    refuse("an argument that a batch script cannot carry", "concordat slurm init", printable(arg),
           "no line ends or other control characters", "rename the file or correct the flag");
  }
}

/// One process on one core, which leaves within seconds.
bool is_single(SlurmRole role) {
  return role == SlurmRole::border || role == SlurmRole::coordinator || role == SlurmRole::mover;
}

void read_time(SlurmPlan& plan, const Flags& flags) {
  plan.time = flags.required("time");
  const auto seconds = slurm_seconds(plan.time);
  if (!seconds) {
    refuse("not a time limit", "--time", plan.time, std::string(slurm_time_forms));
  }
  plan.time_s = *seconds;
  const bool short_work = is_single(plan.role);
  plan.margin_s = static_cast<std::int64_t>(
      whole_number(command, "margin", flags.value("margin", short_work ? "120" : "600"), 1, most));
}

/// Slurm tells the job --margin before its limit, and the program looks at the clock itself.
/// `stop_margin_s`: what `of` says that it keeps for that.
void check_time(const SlurmPlan& plan, std::int64_t stop_margin_s, const std::string& of) {
  const bool told = plan.margin_s >= stop_margin_s;
  const std::int64_t margin = std::max(plan.margin_s, stop_margin_s);
  if (margin + least_work_s <= plan.time_s) return;
  refuse("the job would be told to stop before it has worked", told ? "--margin" : of,
         std::to_string(margin) + " s of a limit of " + std::to_string(plan.time_s) + " s",
         "a margin at least " + std::to_string(least_work_s) + " s below the time limit",
         "ask for more --time, or less of a margin than a save takes no time from");
}

/// rsync takes what has a colon before its first slash for another host's.
bool is_remote(const std::string& to) {
  const std::size_t colon = to.find(':');
  return colon != std::string::npos && colon < to.find('/');
}

/// Both ends of what a mover carries, which must be two.
void read_mover(SlurmPlan& plan, const Flags& flags, const site::SiteSettings& s) {
  const std::string& file = plan.sites.front().file;
  if (!s.federation || s.federation->road != "spool") {
    refuse("a mover carries what lies in a spool, and this site has none", file,
           s.federation ? "federation.road = \"" + s.federation->road + "\""
                        : "no [federation] section",
           "federation.road = \"spool\"", "set federation.road = \"spool\", or submit no mover");
  }
  if (!flags.given("to")) {
    refuse("a flag is missing", "concordat slurm init", "nothing", "--to",
           "--to=FOLDER or --to=HOST:FOLDER: the site's folder in the coordinator's spool");
  }
  plan.to = flags.value("to", "");
  // A shell of the other host would read them.
  if (is_remote(plan.to)) word(plan.to, "--to");
  const std::filesystem::path to = plan.to;
  if (to.empty()) refuse("no folder to carry to", "--to", "nothing", "FOLDER or HOST:FOLDER");
  if (!is_remote(plan.to) && std::filesystem::weakly_canonical(to) ==
                                 std::filesystem::weakly_canonical(s.federation->spool)) {
    refuse("both ends are one folder, and rsync would remove what it finds there", "--to", plan.to,
           "another folder than federation.spool", "where both ends see it no mover is needed");
  }
  plan.every_s =
      static_cast<int>(whole_number(command, "every", flags.value("every", "60"), 1, 86'400));
}

void check_site(const SlurmPlan& plan, const SlurmParty& party, const site::SiteSettings& s) {
  const bool federated = s.federation.has_value();
  const bool alone = plan.role == SlurmRole::sweep;
  if (alone && federated) {
    refuse("a sweep is of runs that train alone", party.file, "a [federation] section",
           "a configuration without one, such as configs/solo.toml");
  }
  if (plan.role == SlurmRole::border && !federated) {
    refuse("a site that trains alone needs no border", party.file, "no [federation] section",
           "federation.roster and federation.agreement");
  }
  // A mover is no program of ours: it looks at its own margin alone.
  if (plan.role == SlurmRole::mover) return check_time(plan, 0, "");
  check_time(plan, s.job.stop_margin_s, "job.stop_margin_s of " + party.file);
  if (plan.role == SlurmRole::border) return;
  if (plan.role == SlurmRole::site && plan.border == SlurmBorder::here && !federated) {
    refuse("a site that trains alone needs no border", "--border=here",
           "no [federation] section in " + party.file, "--border=none");
  }
  if (s.local.threads > plan.cpus_per_task) {
    refuse("a rank has more threads than processors", "--cpus-per-task",
           std::to_string(plan.cpus_per_task),
           "at least train.threads = " + std::to_string(s.local.threads) + " of " + party.file,
           "raise --cpus-per-task or lower train.threads");
  }
  site::check_layout(s, plan.nodes * party.ranks_per_node);
}

/// A file that is there, of a site or of a coordinator whose folder is there.
void require_folder(const std::filesystem::path& folder, const std::string& file) {
  if (posix_files().is_directory(folder / "keys")) return;
  refuse("the folder that the configuration names is not one of a member", file,
         "no " + (folder / "keys").string(), "a folder with keys/, as concordat keys create makes",
         "correct site.folder or coordinator.folder");
}

void read_sites(SlurmPlan& plan, const Flags& flags) {
  const std::vector<std::string> files = flags.values("site");
  if (files.empty()) refuse("a flag is missing", "concordat slurm init", "nothing", "--site");
  if (files.size() > 1 && plan.role != SlurmRole::one_centre) {
    refuse("more sites than one", "--site", std::to_string(files.size()) + " of them",
           "one, or --role=one-centre");
  }
  std::vector<std::string> ranks = flags.values("ranks-per-node");
  if (ranks.empty()) ranks = {"1"};
  if (ranks.size() != 1 && ranks.size() != files.size()) {
    refuse("ranks for some sites only", "--ranks-per-node", std::to_string(ranks.size()) + " times",
           "once, or once for each --site");
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& text = ranks[ranks.size() == 1 ? 0 : i];
    SiteConfig read = read_site_config(site_schema(), files[i], {});
    const site::SiteSettings settings = site_settings(read.config);
    SlurmParty party{
        .file = files[i],
        .name = word(settings.name, "site.name of " + files[i]),
        .ranks_per_node = static_cast<int>(whole_number(command, "ranks-per-node", text, 1, most))};
    require_folder(settings.folder, party.file);
    check_site(plan, party, settings);
    plan.sites.push_back(std::move(party));
    if (plan.role == SlurmRole::mover) read_mover(plan, flags, settings);
  }
}

void read_coordinator(SlurmPlan& plan, const Flags& flags) {
  plan.coordinator = flags.required("coordinator");
  const Config config = load_coordinator(plan.coordinator, {});
  require_folder(resolve(config, config.text("coordinator.folder")), plan.coordinator);
  check_time(plan, StopLimits{}.margin.count(), "the coordinator's own margin");
}

void refuse_given(const Flags& flags, std::initializer_list<const char*> names,
                  const std::string& role) {
  for (const char* name : names) {
    if (!flags.given(name)) continue;
    refuse("a flag that means nothing here", "--" + std::string(name), flags.value(name, ""),
           "no such flag with --role=" + role);
  }
}

}  // namespace

SlurmPlan slurm_plan(const Args& args) {
  require_one_line(args);
  const Flags flags(
      command, args,
      {"role", "site", "coordinator", "nodes", "ranks-per-node", "gpus", "cpus-per-task", "time",
       "margin", "account", "partition", "launcher", "border", "chain", "array", "to", "every"});
  flags.expect_positional({});
  SlurmPlan plan;
  plan.role = one_of<SlurmRole>(flags, "role", "site",
                                {{"site", SlurmRole::site},
                                 {"border", SlurmRole::border},
                                 {"coordinator", SlurmRole::coordinator},
                                 {"mover", SlurmRole::mover},
                                 {"one-centre", SlurmRole::one_centre},
                                 {"sweep", SlurmRole::sweep}});
  plan.launcher =
      one_of<SlurmLauncher>(flags, "launcher", "srun",
                            {{"srun", SlurmLauncher::srun}, {"mpirun", SlurmLauncher::mpirun}});
  plan.border = one_of<SlurmBorder>(
      flags, "border", "job",
      {{"here", SlurmBorder::here}, {"job", SlurmBorder::job}, {"none", SlurmBorder::none}});
  plan.chain = one_of<bool>(flags, "chain", "false", {{"true", true}, {"false", false}});
  const std::string role = flags.value("role", "site");
  if (plan.role != SlurmRole::site) refuse_given(flags, {"border", "launcher"}, role);
  if (plan.role != SlurmRole::mover) refuse_given(flags, {"to", "every"}, role);
  if (is_single(plan.role)) {
    refuse_given(flags, {"nodes", "ranks-per-node", "gpus", "cpus-per-task"}, role);
  }
  if (plan.role == SlurmRole::one_centre || plan.role == SlurmRole::sweep) {
    refuse_given(flags, {"chain"}, role);
  }
  if (plan.role != SlurmRole::sweep) refuse_given(flags, {"array"}, role);
  plan.nodes = whole(flags, "nodes", "1", 1);
  plan.gpus = whole(flags, "gpus", "0", 0);
  plan.cpus_per_task = whole(flags, "cpus-per-task", "1", 1);
  plan.account = word(flags.value("account", ""), "--account");
  plan.partition = word(flags.value("partition", ""), "--partition");
  read_time(plan, flags);
  if (plan.role == SlurmRole::sweep) {
    flags.required("array");
    plan.tasks_of_array = whole(flags, "array", "", 1);
  }
  if (plan.role == SlurmRole::coordinator) {
    refuse_given(flags, {"site"}, role);
  } else {
    read_sites(plan, flags);
  }
  if (plan.role == SlurmRole::coordinator || plan.role == SlurmRole::one_centre) {
    read_coordinator(plan, flags);
  } else {
    refuse_given(flags, {"coordinator"}, role);
  }
  plan.made_by = "concordat slurm init";
  for (const std::string& arg : args) plan.made_by += " " + arg;
  return plan;
}

}  // namespace concordat::cli
