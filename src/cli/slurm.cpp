// `concordat slurm`: batch scripts for Slurm, and the folders that they look into.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "cli/command.hpp"
#include "cli/party_file.hpp"
#include "cli/schema.hpp"
#include "cli/site_command.hpp"
#include "cli/slurm_plan.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat slurm: batch scripts for Slurm.\n\n"
         "usage:\n"
         "  concordat slurm init --site=SITE.toml --nodes=N --ranks-per-node=R --time=LIMIT\n"
         "        [--cpus-per-task=C] [--gpus=G] [--account=A] [--partition=P] [--margin=S]\n"
         "        [--launcher=srun|mpirun] [--border=here|job|none] [--chain] > job.sbatch\n"
         "  concordat slurm init --role=border --site=SITE.toml --time=LIMIT ...\n"
         "  concordat slurm init --role=coordinator --coordinator=COORDINATOR.toml --time=LIMIT "
         "...\n"
         "  concordat slurm init --role=mover --site=SITE.toml --to=[HOST:]FOLDER [--every=S] "
         "--time=LIMIT ...\n"
         "  concordat slurm init --role=one-centre --coordinator=FILE --site=FILE --site=FILE ...\n"
         "        --nodes=N --ranks-per-node=R [--ranks-per-node=R ...] --time=LIMIT ...\n"
         "  concordat slurm init --role=sweep --site=SOLO.toml --array=RUNS --time=LIMIT ...\n"
         "        writes a batch script to standard output. It reads the configurations and\n"
         "        refuses what their layout, threads or limits could not run.\n"
         "  concordat slurm folder FILE.toml [--role=site|border|coordinator|mover] [--key=value "
         "...]\n"
         "        prints the folder in which REQUEUE, STOP and SAVE lie: of the run, of the site,\n"
         "        of the coordinator, or the site's spool. The scripts ask so.\n\n"
         "  concordat slurm launch mpirun ...\n"
         "        runs mpirun without TERM: Slurm sends it to every process of a cancelled job, "
         "and\n"
         "        mpirun would kill its ranks before they have saved.\n\n"
         "  --nodes, --gpus    of a site's job: nodes, and GPUs of each node\n"
         "  --time             minutes, hours:minutes:seconds or days-hours:minutes:seconds\n"
         "  --margin           seconds before the limit at which the job is told to save and "
         "leave\n"
         "                     (600; 120 for a border, a coordinator or a mover)\n"
         "  --border=here      the site's border runs in the same script; job: in one that\n"
         "                     --role=border writes; none: on a service node\n"
         "  --to, --every      of a mover, which carries the files of the road spool with rsync: "
         "the\n"
         "                     site's folder in the coordinator's spool, FOLDER or HOST:FOLDER, "
         "and\n"
         "                     the seconds from one pass to the next (60)\n"
         "  --chain            for centres that forbid requeue: the job queues its successor "
         "first\n"
         "                     and takes it away when the run is done, was stopped or gets no\n"
         "                     further\n\n"
         "Before the limit, and when it is preempted, a job saves and goes back into the queue. A\n"
         "cancelled job stays cancelled. One that twice makes no progress is held (exit code "
         "76).\n";
}

std::filesystem::path folder_of(const site::SiteSettings& site, const std::string& role,
                                const std::string& file) {
  if (role == "site") return site.run_folder();
  if (role == "border") return site.folder;
  if (site.spools()) return site.federation->spool;
  throw Error(errors::usage,
              {.what = "this site has no spool",
               .where = file,
               .found = site.federation ? "federation.road = \"" + site.federation->road + "\""
                                        : "no [federation] section",
               .expected = "federation.road = \"spool\"",
               .remedy = "set it, or submit no mover"});
}

int folder(const Args& args) {
  Args rest = args;
  const std::string role = take_flag(rest, "role").value_or("site");
  if (rest.empty() || rest[0].starts_with("--")) {
    throw Error(errors::usage, {.what = "a configuration file is missing",
                                .where = "concordat slurm folder",
                                .found = rest.empty() ? "nothing" : rest[0],
                                .expected = "FILE.toml, then --key=value flags",
                                .remedy = "concordat slurm --help"});
  }
  const Args keys(rest.begin() + 1, rest.end());
  std::filesystem::path found;
  if (role == "coordinator") {
    const Config config = load_coordinator(rest[0], keys);
    found = resolve(config, config.text("coordinator.folder"));
  } else if (role == "site" || role == "border" || role == "mover") {
    const SiteConfig read = read_site_config(site_schema(), rest[0], keys);
    found = folder_of(site_settings(read.config), role, rest[0]);
  } else {
    throw Error(errors::usage, {.what = "not a choice for --role",
                                .where = "concordat slurm folder",
                                .found = role,
                                .expected = "site, border, coordinator or mover",
                                .remedy = "concordat slurm --help"});
  }
  std::string text = std::filesystem::absolute(found).lexically_normal().string();
  // "alba/." names the folder with a slash at its end.
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  std::cout << text << '\n';
  return 0;
}

/// A blocked signal stays blocked in what is run; mpirun unblocks it for its ranks.
int launch(const Args& args) {
  if (args.empty()) {
    throw Error(errors::usage, {.what = "what to run is missing",
                                .where = "concordat slurm launch",
                                .found = "nothing",
                                .expected = "mpirun and its arguments",
                                .remedy = "concordat slurm --help"});
  }
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, nullptr);
  std::vector<char*> words;
  Args copy = args;
  for (std::string& arg : copy) words.push_back(arg.data());
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  throw Error(errors::not_found, {.what = "the program cannot be run",
                                  .where = "concordat slurm launch",
                                  .found = args[0] + ": " + std::strerror(errno),
                                  .expected = "a program in PATH",
                                  .remedy = "load its module"});
}

int run(const Args& args) {
  const std::string action = args.empty() ? "" : args[0];
  const Args rest(args.begin() + (args.empty() ? 0 : 1), args.end());
  if (action == "init") {
    std::cout << slurm_script(slurm_plan(rest));
    return 0;
  }
  if (action == "folder") return folder(rest);
  if (action == "launch") return launch(rest);
  throw Error(errors::usage, {.what = "what to do is missing",
                              .where = "concordat slurm",
                              .found = action.empty() ? "nothing" : action,
                              .expected = "init, folder or launch",
                              .remedy = "concordat slurm --help"});
}

}  // namespace

const Command slurm_command{"slurm", "batch scripts for Slurm", help, run};

}  // namespace concordat::cli
