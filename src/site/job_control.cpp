#include "site/job_control.hpp"

#include <array>
#include <cstdlib>
#include <utility>

#include "concordat/comm/agree.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/log.hpp"
#include "site/bring_back.hpp"

namespace concordat::site {
namespace {

// A look costs the metadata server of a shared file system a request.
constexpr std::chrono::seconds look_every{2};

bool guards(const std::string& choice) {
  if (choice != "auto") return choice == "on";
  for (const char* name : {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

}  // namespace

// Every rank installs the handlers, because srun and mpirun forward signals to all of them; what
// counts is what rank 0 saw.
JobControl::JobControl(comm::Communicator& comm, FileSystem& fs, const FileSystem::Path& run_folder,
                       Clock& clock, const JobSettings& settings)
    : comm_(comm),
      fs_(fs),
      run_folder_(run_folder),
      clock_(clock),
      exit_between_rounds_(settings.exit_between_rounds),
      patience_(std::chrono::seconds(settings.patience_s)),
      requests_(fs, run_folder, clock,
                {.margin = std::chrono::seconds(settings.stop_margin_s),
                 .walltime = std::chrono::seconds(settings.max_walltime_s)}) {
  if (comm_.rank() == 0) fs.remove(waiting_file(run_folder));
  if (comm_.rank() == 0 && guards(settings.progress_guard)) guard_.emplace(fs, run_folder);
}

StopKind JobControl::poll() {
  std::array<std::int32_t, 3> mine{0, busy_ && busy_() ? 1 : 0, 0};
  if (comm_.rank() == 0) {
    mine[0] = static_cast<std::int32_t>(requests_.poll());
    mine[2] = look_again() ? 1 : 0;
  }
  if (comm_.size() > 1) comm::all_reduce_host<std::int32_t>(comm_, mine, comm::ReduceOp::max);
  all_idle_ = mine[1] == 0;
  noticed_ = mine[2] != 0;
  auto found = static_cast<StopKind>(mine[0]);
  if (std::exchange(save_asked_, false) && found == StopKind::none) found = StopKind::save;
  if (guard_ && !told_guard_ && found == StopKind::stop) {
    told_guard_ = true;
    guard_->stopped();
  }
  return found;
}

bool JobControl::stop_asked() {
  const StopKind found = poll();
  // Said again by poll(), it is kept again.
  save_asked_ = found == StopKind::save;
  return found == StopKind::stop || found == StopKind::requeue;
}

bool JobControl::look_again() {
  if (!look_) return false;
  const std::chrono::nanoseconds now = clock_.monotonic();
  if (looked_at_ && now - *looked_at_ < look_every) return false;
  looked_at_ = now;
  try {
    return look_();
  } catch (const Error&) {
    return true;
  }
}

void JobControl::started(std::int64_t step, std::uint32_t round) {
  comm::agreed(comm_, [&] {
    if (guard_) guard_->started(step, round);
  });
}

void JobControl::reached_exchange() {
  comm::agreed(comm_, [&] {
    if (guard_) guard_->reached_exchange();
  });
  patience_ends_ = clock_.monotonic() + patience_;
}

bool JobControl::leave_wait() {
  asked_ = stop_asked();
  if (asked_ || !exit_between_rounds_) return asked_;
  std::array<std::int32_t, 1> over{0};
  if (comm_.rank() == 0 && clock_.monotonic() >= patience_ends_) over[0] = 1;
  if (comm_.size() > 1) comm::all_reduce_host<std::int32_t>(comm_, over, comm::ReduceOp::max);
  return over[0] != 0;
}

void JobControl::leave_to_border(const ExchangeId& exchange) {
  if (asked_ || comm_.rank() != 0) return;
  write_atomically(fs_, waiting_file(run_folder_), as_bytes(exchange.text() + "\n"));
  log::info("leaving exchange " + exchange.text() +
            " to the border, which brings this job back when it can go on");
}

}  // namespace concordat::site
