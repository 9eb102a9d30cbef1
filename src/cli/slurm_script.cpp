// The text of batch scripts. Each is whole and can be read and changed by hand; what they share is
// written once, here.
#include <algorithm>

#include "cli/slurm_mover_text.hpp"
#include "cli/slurm_plan.hpp"
#include "cli/slurm_text.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string directive(const std::string& option) { return "#SBATCH --" + option + "\n"; }

/// What differs from centre to centre; to be filled in where nothing was given.
std::string centre(const SlurmPlan& plan) {
  auto line = [](const char* name, const std::string& value) {
    return value.empty() ? "##SBATCH --" + std::string(name) + "=YOURS\n"
                         : directive(std::string(name) + "=" + value);
  };
  return line("account", plan.account) + line("partition", plan.partition);
}

std::string limits(const SlurmPlan& plan, bool shell_alone) {
  return directive("time=" + plan.time) +
         directive("signal=" + std::string(shell_alone ? "B:" : "") + "USR1@" +
                   std::to_string(plan.margin_s));
}

std::string files_of(const SlurmPlan& plan) {
  return directive(plan.chain ? "no-requeue" : "requeue") + directive("open-mode=append") +
         directive(plan.role == SlurmRole::sweep ? "output=%x-%A_%a.out" : "output=%x-%j.out");
}

std::string nodes_of(const SlurmPlan& plan, const SlurmParty& party) {
  std::string text = directive("nodes=" + std::to_string(plan.nodes)) +
                     directive("ntasks-per-node=" + std::to_string(party.ranks_per_node)) +
                     directive("cpus-per-task=" + std::to_string(plan.cpus_per_task));
  if (plan.gpus > 0) text += directive("gres=gpu:" + std::to_string(plan.gpus));
  return text;
}

std::string opening(const SlurmPlan& plan, const std::string& what) {
  return "#!/bin/bash\n# " + what + "\n# Made by: " + plan.made_by + "\n";
}

/// As sbatch was told, by the script or by the flags that override it. The components of a
/// heterogeneous job have no such variable in common.
std::string cpus_of(const SlurmPlan& plan) {
  if (plan.role == SlurmRole::one_centre) return std::to_string(plan.cpus_per_task);
  return "$SLURM_CPUS_PER_TASK";
}

/// The srun of a training job, up to the program. With --kill-on-bad-exit=1 the first rank that
/// ends with 75 would make srun kill the others and return 143; a rank that dies ends the step
/// anyway, through PMIx.
std::string srun_of(const SlurmPlan& plan) {
  std::string text = "srun --mpi=pmix --kill-on-bad-exit=0 --cpus-per-task=" + cpus_of(plan);
  // Said again: what an outer job had stands in the environment too.
  if (plan.gpus > 0) text += " --gres=gpu:" + std::to_string(plan.gpus);
  return text;
}

std::string threads_of(const SlurmPlan& plan) {
  return "export OMP_NUM_THREADS=" + cpus_of(plan) + " OMP_WAIT_POLICY=passive\n" +
         std::string(slurm_text::fabric);
}

/// What must be there before a signal comes, and the traps. `on_term`: what TERM does besides being
/// counted.
std::string listening(const SlurmPlan& plan, std::string_view why, const std::string& on_term) {
  std::string text(slurm_text::functions);
  text += plan.chain ? slurm_text::leave_chain : slurm_text::leave_requeue;
  text += slurm_text::on_usr1;
  text += why;
  text += "on_term() {\n  signals=$((signals + 1)) termed=yes\n" + on_term;
  if (plan.chain) text += "  ended_by_slurm || drop\n";
  text += "}\ntrap on_usr1 USR1\ntrap on_term TERM\n";
  return text + std::string(slurm_text::end_time);
}

std::string launch(const SlurmPlan& plan) {
  if (plan.launcher == SlurmLauncher::mpirun) return std::string(slurm_text::launch_mpirun);
  return "\n" + srun_of(plan) + " \\\n  \"$concordat\" train \"$site\" \"${flags[@]}\" &\n" +
         std::string(slurm_text::launched_srun);
}

std::string training_script(const SlurmPlan& plan) {
  const SlurmParty& site = plan.sites.front();
  const bool mpirun = plan.launcher == SlurmLauncher::mpirun;
  const bool here = plan.border == SlurmBorder::here;
  const bool sweep = plan.role == SlurmRole::sweep;
  std::string text = opening(
      plan, sweep ? "Runs of one site that differ in what FLAGS says."
                  : "The training job of a site" + std::string(here ? ", with its border." : "."));
  if (!sweep && !here) text += slurm_text::border_elsewhere;
  // A name of its own: whoever signals the training job by name does not mean these.
  text += directive("job-name=" + site.name + (sweep ? "-sweep" : ""));
  if (sweep) text += directive("array=1-" + std::to_string(plan.tasks_of_array));
  text += nodes_of(plan, site) + limits(plan, mpirun) + centre(plan) + files_of(plan);
  text += slurm_text::start;
  text += "site=" + quoted(site.file) + "\n";
  text += sweep ? slurm_text::sweep_flags : slurm_text::no_flags;
  text += threads_of(plan);
  text += mpirun ? listening(plan, slurm_text::term_of_mpirun,
                             "  [ -z \"$run\" ] || stop \"$run\" || true\n")
                 : listening(plan, slurm_text::term_of_srun, "");
  text += slurm_text::run_folder;
  if (here) text += "folder=${run%/runs/*}                        # the border's\n";
  text += here ? "forget \"$run\" \"$folder\"\n" : "forget \"$run\"\n";
  if (plan.chain) text += slurm_text::queue_successor;
  if (here) text += slurm_text::start_border;
  text += launch(plan);
  if (here) text += slurm_text::watch_border;
  text += slurm_text::end_training;
  text += here ? slurm_text::end_border : slurm_text::leave_training;
  return text;
}

/// A border or a coordinator: one process on one core.
std::string single_script(const SlurmPlan& plan) {
  const bool border = plan.role == SlurmRole::border;
  std::string text =
      opening(plan, border ? "The border of a site, as a job of one core."
                           : "The coordinator of a federation, as a job of one core.");
  text += border ? slurm_text::about_border : slurm_text::about_coordinator;
  text += directive("job-name=" +
                    (border ? plan.sites.front().name + "-border" : std::string("coordinator"))) +
          directive("nodes=1") + directive("ntasks=1") + directive("cpus-per-task=1") +
          limits(plan, true) + centre(plan) + files_of(plan);
  text += slurm_text::start;
  text += "file=" + quoted(border ? plan.sites.front().file : plan.coordinator) + "\n";
  text += slurm_text::no_flags;
  text += listening(plan, slurm_text::term_of_single,
                    "  [ -z \"$folder\" ] || stop \"$folder\" || true\n");
  text += "folder=$(\"$concordat\" slurm folder --role=" +
          std::string(border ? "border" : "coordinator") + " \"$file\" \"${flags[@]}\")\n";
  text += "forget \"$folder\"\n";
  if (plan.chain) text += slurm_text::queue_successor;
  text += "\n\"$concordat\" " + std::string(border ? "border" : "coordinate") +
          " \"$file\" \"${flags[@]}\" &\n";
  return text + std::string(slurm_text::end_single);
}

/// What carries the files of a spool: rsync, again and again.
std::string mover_script(const SlurmPlan& plan) {
  const SlurmParty& site = plan.sites.front();
  const auto setting = [](const std::string& text, std::string_view meaning) {
    std::string line = text;
    line.resize(std::max<std::size_t>(line.size() + 1, 45), ' ');
    return line + "# " + std::string(meaning) + "\n";
  };
  std::string text = opening(plan, "Carries the files of a site's spool, as a job of one core.");
  text += slurm_text::about_mover;
  text += directive("job-name=" + site.name + "-mover") + directive("nodes=1") +
          directive("ntasks=1") + directive("cpus-per-task=1") + limits(plan, true) + centre(plan) +
          files_of(plan);
  text += slurm_text::start;
  text += "file=" + quoted(site.file) + "\n";
  text += slurm_text::no_flags;
  text += setting("to=" + quoted(plan.to), "the site's folder in the coordinator's spool");
  text += setting("every=" + std::to_string(plan.every_s), "seconds from one pass to the next");
  text +=
      setting("margin=" + std::to_string(plan.margin_s), "seconds before the limit to leave at");
  text += slurm_text::rsync;
  text += listening(plan, slurm_text::term_of_mover,
                    "  [ -z \"$carrying\" ] || kill \"$carrying\" 2>/dev/null || true\n");
  text += slurm_text::spool_folder;
  if (plan.chain) text += slurm_text::queue_successor;
  return text + std::string(slurm_text::carry);
}

std::string one_centre_script(const SlurmPlan& plan) {
  std::string text = opening(plan, "A federation of one centre: coordinator, borders and sites.");
  text += slurm_text::about_one_centre;
  text += directive("job-name=federation") + directive("nodes=1") +
          directive("ntasks=" + std::to_string(plan.sites.size() + 1)) +
          directive("cpus-per-task=1") + limits(plan, false) + centre(plan) + files_of(plan);
  for (const SlurmParty& site : plan.sites) {
    text += "#SBATCH hetjob\n" + nodes_of(plan, site) + limits(plan, false) + centre(plan);
  }
  text += slurm_text::start;
  text += "coordinator=" + quoted(plan.coordinator) + "\nsites=(";
  for (const SlurmParty& site : plan.sites) {
    text += (&site == &plan.sites.front() ? "" : " ") + quoted(site.file);
  }
  text += ")\n" + threads_of(plan);
  text += listening(plan, slurm_text::term_of_srun, "");
  text += slurm_text::one_centre_start;
  text += "  " + srun_of(plan) + " --het-group=$((i + 1)) \\\n";
  return text + std::string(slurm_text::one_centre_end);
}

}  // namespace

std::string slurm_script(const SlurmPlan& plan) {
  switch (plan.role) {
    case SlurmRole::site:
    case SlurmRole::sweep:
      return training_script(plan);
    case SlurmRole::border:
    case SlurmRole::coordinator:
      return single_script(plan);
    case SlurmRole::mover:
      return mover_script(plan);
    case SlurmRole::one_centre:
      return one_centre_script(plan);
  }
  throw Bug("no such role");
}

}  // namespace concordat::cli
