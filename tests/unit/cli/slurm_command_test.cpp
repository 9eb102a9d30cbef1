// `concordat slurm`: what it writes and what it refuses. That Slurm runs it is a system test.
#include <gtest/gtest.h>

#include "cli/command.hpp"
#include "cli/slurm_plan.hpp"
#include "cli/slurm_time.hpp"
#include "concordat/parallel/errors.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::cli {
namespace {

/// A site that trains alone, with two tensor ranks and two threads each.
class SlurmCommand : public ::testing::Test {
 protected:
  SlurmCommand() {
    posix_files().make_directories(folder_.path() / "keys");
    testing_support::overwrite(
        folder_.path() / "solo.toml",
        as_bytes("[site]\nname = \"alba\"\nfolder = \".\"\n[data]\ndatasets = [\"texts\"]\n"
                 "[train]\nthreads = 2\n[layout]\ntp = 2\n[run]\nname = \"alone\"\n"));
  }
  std::string file() const { return (folder_.path() / "solo.toml").string(); }
  Args args(std::vector<std::string> more) const {
    Args all{"--site=" + file(), "--time=01:00:00", "--cpus-per-task=2"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string script(std::vector<std::string> more) const {
    return slurm_script(slurm_plan(args(std::move(more))));
  }

  testing_support::TemporaryFolder folder_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(SlurmTime, EveryFormOfSlurmIsRead) {
  EXPECT_EQ(slurm_seconds("90"), 5400);
  EXPECT_EQ(slurm_seconds("1:30"), 90);
  EXPECT_EQ(slurm_seconds("24:00:00"), 86400);
  EXPECT_EQ(slurm_seconds("00:00:07"), 7);
  EXPECT_EQ(slurm_seconds("2-0"), 172800);
  EXPECT_EQ(slurm_seconds("1-02:03"), 86400 + 2 * 3600 + 180);
  EXPECT_EQ(slurm_seconds("1-02:03:04"), 86400 + 2 * 3600 + 184);
  for (const char* wrong : {"", "0", "00:00:00", "1h", "1:2:3:4", "1-", "-1", "1-2-3", "1::2", " 5",
                            "1.5", "99999999999999999999"}) {
    EXPECT_FALSE(slurm_seconds(wrong)) << wrong;
  }
}

TEST_F(SlurmCommand, WritesWhatWasAskedFor) {
  const std::string text = script({"--nodes=4", "--ranks-per-node=4", "--gpus=4", "--account=acc",
                                   "--partition=gpu", "--margin=300", "--border=none"});
  for (const char* line :
       {"#SBATCH --nodes=4\n", "#SBATCH --ntasks-per-node=4\n", "#SBATCH --cpus-per-task=2\n",
        "#SBATCH --gres=gpu:4\n", "#SBATCH --time=01:00:00\n", "#SBATCH --signal=USR1@300\n",
        "#SBATCH --account=acc\n", "#SBATCH --partition=gpu\n", "#SBATCH --requeue\n",
        "#SBATCH --open-mode=append\n", "set -euo pipefail\n", "srun --mpi=pmix "}) {
    EXPECT_TRUE(has(text, line)) << line << text;
  }
  EXPECT_EQ(text.substr(0, 12), "#!/bin/bash\n");
}

TEST_F(SlurmCommand, MpirunIsSignalledThroughTheShellAndNeverGetsTerm) {
  const std::string text = script({"--ranks-per-node=2", "--launcher=mpirun", "--border=none"});
  EXPECT_TRUE(has(text, "#SBATCH --signal=B:USR1@600\n"));
  EXPECT_TRUE(has(text, "slurm launch mpirun "));
  EXPECT_FALSE(has(text, "kill -TERM \"$training\""));
  EXPECT_FALSE(has(text, "pml"));
}

TEST_F(SlurmCommand, AChainQueuesItsSuccessorInsteadOfARequeue) {
  const std::string text = script({"--ranks-per-node=2", "--chain", "--border=none"});
  EXPECT_TRUE(has(text, "#SBATCH --no-requeue\n"));
  EXPECT_TRUE(has(text, "--dependency=\"afterany:$job\""));
  EXPECT_FALSE(has(text, "scontrol requeue"));
}

TEST_F(SlurmCommand, WhatTheJobCouldNotRunIsRefused) {
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=3"}), parallel::errors::bad_layout, "3");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--cpus-per-task=1"}), errors::usage,
                    "train.threads = 2");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--time=tomorrow"}), errors::usage, "--time");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--time=5"}), errors::usage, "--margin");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--launcher=aprun"}), errors::usage,
                    "srun, mpirun");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--border=here"}), errors::usage,
                    "trains alone needs no border");
  EXPECT_ERROR_SAYS(script({"--role=border"}), errors::usage, "--cpus-per-task");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--account=a b"}), errors::usage, "--account");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--account=a\n#SBATCH --reboot"}), errors::usage,
                    "--account");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--array=4"}), errors::usage, "--array");
  EXPECT_ERROR_SAYS(slurm_plan({"--time=60"}), errors::usage, "--site");
  EXPECT_ERROR_SAYS(slurm_plan({"--site=nowhere.toml", "--time=60"}), errors::not_found,
                    "nowhere.toml");
  posix_files().remove(folder_.path() / "keys");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--border=none"}), errors::usage, "keys");
}

TEST_F(SlurmCommand, AMoverIsOfASiteWithASpoolAlone) {
  const auto mover = [&](std::vector<std::string> more) {
    Args all{"--role=mover", "--site=" + file(), "--time=60"};
    all.insert(all.end(), more.begin(), more.end());
    return slurm_plan(all);
  };
  EXPECT_ERROR_SAYS(mover({"--to=hub/spool/alba"}), errors::usage, "no [federation] section");
  EXPECT_ERROR_SAYS(mover({"--to=hub", "--nodes=2"}), errors::usage, "--nodes");
  EXPECT_ERROR_SAYS(mover({"--to=hub", "--border=none"}), errors::usage, "--border");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--to=hub"}), errors::usage, "--to");
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--every=5"}), errors::usage, "--every");
  EXPECT_ERROR_SAYS(slurm_command.run({"folder", file(), "--role=mover"}), errors::usage,
                    "federation.road = \"spool\"");
}

TEST(SlurmMover, ItsScriptHasBothEndsAndItsPace) {
  const SlurmPlan plan{.role = SlurmRole::mover,
                       .sites = {{.file = "alba/site.toml", .name = "alba"}},
                       .to = "hub.example:/data/it's/alba",
                       .every_s = 7,
                       .time = "60",
                       .margin_s = 90,
                       .made_by = "concordat slurm init ..."};
  const std::string text = slurm_script(plan);
  for (const char* line :
       {"#SBATCH --job-name=alba-mover\n", "#SBATCH --signal=B:USR1@90\n", "#SBATCH --requeue\n",
        "\nto='hub.example:/data/it'\\''s/alba' ", "\nevery=7 ", "\nmargin=90 ",
        " --role=mover \"$file\" ", "scontrol requeue "}) {
    EXPECT_TRUE(has(text, line)) << line << text;
  }
  SlurmPlan chain = plan;
  chain.chain = true;
  EXPECT_TRUE(has(slurm_script(chain), "--dependency=\"afterany:$job\""));
  EXPECT_FALSE(has(slurm_script(chain), "scontrol requeue"));
}

TEST_F(SlurmCommand, AnotherPartysFileIsNamedAsSuch) {
  const std::string hub = (folder_.path() / "coordinator.toml").string();
  testing_support::overwrite(hub, as_bytes("[coordinator]\nname = \"hub\"\nfolder = \".\"\n"));
  for (const char* role : {"site", "border"}) {
    EXPECT_ERROR_SAYS(slurm_plan({std::string("--role=") + role, "--site=" + hub, "--time=60"}),
                      errors::usage, "a coordinator's configuration");
  }
  EXPECT_ERROR_SAYS(slurm_plan({"--role=border", "--site=" + hub, "--time=60"}), errors::usage,
                    "--role=coordinator --coordinator=" + hub);
  EXPECT_ERROR_SAYS(slurm_plan({"--role=coordinator", "--coordinator=" + file(), "--time=60"}),
                    errors::usage, "--role=site|border --site=" + file());
  EXPECT_ERROR_SAYS(slurm_command.run({"folder", file(), "--role=coordinator"}), errors::usage,
                    "a site's configuration");
}

TEST_F(SlurmCommand, TheJobsOwnMarginMustFitTheLimitToo) {
  const auto with = [&](const char* time, const char* margin) {
    return script({"--ranks-per-node=2", "--border=none", std::string("--time=") + time,
                   std::string("--margin=") + margin});
  };
  EXPECT_NO_THROW(with("3", "10")) << "120 s of its own, and a minute";
  EXPECT_ERROR_SAYS(with("2:59", "10"), errors::usage, "job.stop_margin_s");
  EXPECT_NO_THROW(with("4", "180"));
  EXPECT_ERROR_SAYS(with("3:59", "180"), errors::usage, "--margin");
  const std::string text = read_text(posix_files(), file());
  testing_support::overwrite(folder_.path() / "solo.toml",
                             as_bytes(text + "[job]\nstop_margin_s = 300\n"));
  EXPECT_ERROR_SAYS(with("5:59", "10"), errors::usage, "job.stop_margin_s");
  EXPECT_NO_THROW(with("6", "10"));
}

TEST_F(SlurmCommand, NothingGetsOutOfItsLine) {
  const std::filesystem::path odd = folder_.path() / "a\nreboot\n.toml";
  testing_support::overwrite(odd, read_file(posix_files(), file()));
  EXPECT_ERROR_SAYS(slurm_plan({"--site=" + odd.string(), "--time=60", "--ranks-per-node=2",
                                "--cpus-per-task=2", "--border=none"}),
                    errors::usage, "a?reboot?.toml");
  std::string text = read_text(posix_files(), file());
  text.replace(text.find("\"alba\""), 6, "\"alba\\n#SBATCH --reboot\"");
  testing_support::overwrite(folder_.path() / "solo.toml", as_bytes(text));
  EXPECT_ERROR_SAYS(script({"--ranks-per-node=2", "--border=none"}), errors::usage, "site.name");
}

TEST_F(SlurmCommand, APathWithAQuoteStaysOneWord) {
  posix_files().make_directories(folder_.path() / "it's" / "keys");
  const std::filesystem::path odd = folder_.path() / "it's" / "solo.toml";
  testing_support::overwrite(odd, read_file(posix_files(), file()));
  const std::string text =
      slurm_script(slurm_plan({"--site=" + odd.string(), "--time=60", "--ranks-per-node=2",
                               "--cpus-per-task=2", "--border=none"}));
  EXPECT_TRUE(has(text, "site='" + folder_.path().string() + "/it'\\''s/solo.toml'\n")) << text;
}

TEST_F(SlurmCommand, FolderNamesWhereAJobLeavesItsFiles) {
  const auto folder = [&](Args rest) {
    rest.insert(rest.begin(), "folder");
    testing::internal::CaptureStdout();
    EXPECT_EQ(slurm_command.run(rest), 0);
    return testing::internal::GetCapturedStdout();
  };
  const std::string top = folder_.path().string();
  EXPECT_EQ(folder({file()}), top + "/runs/alone\n");
  EXPECT_EQ(folder({file(), "--run.name=b"}), top + "/runs/b\n");
  EXPECT_EQ(folder({"--role=border", file()}), top + "\n");
  EXPECT_ERROR(slurm_command.run({"folder"}), errors::usage);
  EXPECT_ERROR(slurm_command.run({"folder", file(), "--role=cook"}), errors::usage);
  EXPECT_ERROR(slurm_command.run({}), errors::usage);
  EXPECT_ERROR(slurm_command.run({"launch"}), errors::usage);
  EXPECT_ERROR(slurm_command.run({"launch", "/nowhere/mpirun"}), errors::not_found);
}

}  // namespace
}  // namespace concordat::cli
