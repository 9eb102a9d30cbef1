// The parts that batch scripts are put together from. Bash 4.4 or newer.
#pragma once

#include <string_view>

// What follows is shell, which clang-format would take for C++.
// clang-format off
namespace concordat::cli::slurm_text {

inline constexpr std::string_view border_elsewhere =
    R"sh(# The site's border is another process: concordat slurm init --role=border, or a service node.
)sh";

inline constexpr std::string_view about_border =
    R"sh(# It needs a road to the coordinator from its node, and outlives the training jobs.
)sh";

inline constexpr std::string_view about_coordinator =
    R"sh(# Sites dial the roster's address: pin the job to that node (--nodelist) if it is one of the cluster.
)sh";

inline constexpr std::string_view about_one_centre =
    R"sh(# One component for the coordinator and all borders, one for each site. For one trust domain: whoever
# may read this job's files reads all sites' data. All have to agree on an address that is reached
# from the first component's node.
)sh";

inline constexpr std::string_view start =
    R"sh(set -euo pipefail
# module load openmpi hdf5 openssl           # what concordat was built with

concordat=${CONCORDAT:-concordat}            # the program
# When this job ends, where Slurm does not say it itself: jobs leave in time without any signal.
if [ -z "${SLURM_JOB_END_TIME:-}" ]; then
  ends=$(squeue --noheader --job "$SLURM_JOB_ID" --format %e | head -n 1) || ends=
  SLURM_JOB_END_TIME=$(date -d "${ends:-none}" +%s 2>/dev/null) || true
  export SLURM_JOB_END_TIME
fi
)sh";

inline constexpr std::string_view no_flags =
    R"sh(flags=()                                     # --key=value, as after the configuration file
)sh";

inline constexpr std::string_view sweep_flags =
    R"sh(# What differs from run to run: the seed, and whatever is added here.
flags=(--run.name="sweep-$SLURM_ARRAY_TASK_ID" --run.seed="$SLURM_ARRAY_TASK_ID")
)sh";

inline constexpr std::string_view fabric =
    R"sh(# What your centre tells you to set for its network, and nothing else:
# export OMPI_MCA_btl_tcp_if_include=ib0 UCX_NET_DEVICES=mlx5_0:1
# export NCCL_SOCKET_IFNAME=ib0 NCCL_IB_HCA=mlx5 NCCL_DEBUG=WARN
)sh";

inline constexpr std::string_view finish = R"sh(
say() { printf '%s script: %s\n' "$(date -u +%FT%TZ)" "$*"; }

# finish PID: waits for it, whatever signals come meanwhile, and returns its exit code.
signals=0
finish() {
  local code before
  while :; do
    before=$signals code=0
    wait "$1" || code=$?
    [ "$signals" -ne "$before" ] || return "$code"
  done
}

# Slurm tells a preempted job by TERM, as it does a cancelled one, but still calls it running.
preempted() {
  local job
  job=$(scontrol show job "$SLURM_JOB_ID" --oneliner 2>/dev/null) || return 1
  [[ $job == *" JobState=RUNNING "* && $job == *" PreemptTime="[0-9]* ]]
}

# come_back FOLDER...: whether the job that saved wants to run again.
come_back() {
  local folder
  for folder in "$@"; do [ ! -e "$folder/REQUEUE" ] || return 0; done
  preempted
}
)sh";

inline constexpr std::string_view leave_requeue = R"sh(
# leave CODE FOLDER...: back into the queue, held without progress, or the end.
leave() {
  local code=$1
  shift
  trap - TERM USR1
  if [ "$code" -eq 75 ] && come_back "$@"; then
    say "saved; back into the queue"
    scontrol requeue "$SLURM_JOB_ID" || say "not requeued: submit again, or make the script with --chain"
  elif [ "$code" -eq 76 ]; then
    say "held without progress; after the remedy above: scontrol release $SLURM_JOB_ID"
    scontrol requeuehold "$SLURM_JOB_ID" || say "not held: submit again after the remedy"
  fi
  exit "$code"
}
)sh";

inline constexpr std::string_view leave_chain = R"sh(
# The next job of the chain is queued first, so that the chain outlives this job's node. It must not
# inherit what Slurm told this job.
successor=$(
  job=$SLURM_JOB_ID
  for name in "${!SLURM_@}"; do [ "$name" = SLURM_CONF ] || unset "$name"; done
  sbatch --parsable --dependency="afterany:$job" "$0"
)
successor=${successor%%;*}
say "job $successor follows"

# leave CODE FOLDER...: the chain goes on, or its next job is taken away.
leave() {
  local code=$1
  shift
  if [ "$code" -eq 75 ] && come_back "$@"; then
    say "saved; job $successor goes on"
  else
    say "the chain ends here"
    scancel "$successor"
  fi
  exit "$code"
}
)sh";

inline constexpr std::string_view traps_srun = R"sh(
# Slurm sends USR1 and TERM to the ranks itself, and srun waits for them; this shell must, too.
trap 'signals=$((signals + 1))' TERM
)sh";

inline constexpr std::string_view launch_mpirun = R"sh(
# mpirun passes USR1 on to its ranks. TERM, which Slurm sends to every process of this script, would
# make it kill them: it is kept from mpirun, and a STOP file takes its place.
training=
on_usr1() {
  signals=$((signals + 1))
  [ -z "$training" ] || kill -USR1 "$training" 2>/dev/null || true
}
on_term() {
  signals=$((signals + 1))
  touch "$run/STOP"
}
trap on_usr1 USR1
trap on_term TERM
"$concordat" slurm launch mpirun --bind-to none -n "$SLURM_NTASKS" \
  "$concordat" train "$site" "${flags[@]}" &
training=$!
)sh";

inline constexpr std::string_view start_border = R"sh(
"$concordat" border "$site" "${flags[@]}" &
border=$!
border_code=0
)sh";

inline constexpr std::string_view watch_border = R"sh(
# Without a border the ranks would wait for ever: one that fails ends the training.
while kill -0 "$training" 2>/dev/null; do
  if [ -n "$border" ] && ! kill -0 "$border" 2>/dev/null; then
    finish "$border" || border_code=$?
    border=
    if [ "$border_code" -ne 0 ] && [ "$border_code" -ne 75 ]; then
      say "the border ended with $border_code; training stops"
      touch "$run/STOP"
    fi
  fi
  sleep 1 &
  wait $! || true
done
)sh";

inline constexpr std::string_view end_training = R"sh(
code=0
finish "$training" || code=$?
)sh";

inline constexpr std::string_view forget_stop =
    R"sh(rm -f "$run/STOP"                            # that came too late to be taken
)sh";

inline constexpr std::string_view leave_training = R"sh(leave "$code" "$run"
)sh";

inline constexpr std::string_view end_border = R"sh(
# After the last round the border ends by itself, once the coordinator has this site's proof.
if [ -n "$border" ]; then
  [ "$code" -eq 0 ] || kill -TERM "$border" 2>/dev/null || true
  finish "$border" || border_code=$?
fi
rm -f "$run/STOP"
if [ "$code" -eq 0 ] || { [ "$border_code" -ne 0 ] && [ "$border_code" -ne 75 ]; }; then
  code=$border_code
fi
leave "$code" "$run" "${run%/runs/*}"
)sh";

inline constexpr std::string_view traps_single = R"sh(
child=
forward() {
  signals=$((signals + 1))
  [ -z "$child" ] || kill -"$1" "$child" 2>/dev/null || true
}
trap 'forward USR1' USR1
trap 'forward TERM' TERM
)sh";

inline constexpr std::string_view end_single = R"sh(child=$!
code=0
finish "$child" || code=$?
leave "$code" "$folder"
)sh";

inline constexpr std::string_view one_centre_start = R"sh(
hub=$("$concordat" slurm folder --role=coordinator "$coordinator")
runs=() folders=() helpers=() trainings=() codes=()
for site in "${sites[@]}"; do
  runs+=("$("$concordat" slurm folder "$site")")
  folders+=("$("$concordat" slurm folder --role=border "$site")")
done

# Slurm sends USR1 and TERM to every step itself; this shell only must outlive them.
trap 'signals=$((signals + 1))' TERM
helper() {
  srun --mpi=none --kill-on-bad-exit=0 --het-group=0 --nodes=1 --ntasks=1 --cpus-per-task=1 --overlap "$concordat" "$@" &
  helpers+=($!)
}
helper coordinate "$coordinator"
for site in "${sites[@]}"; do helper border "$site"; done
for i in "${!sites[@]}"; do
)sh";

inline constexpr std::string_view one_centre_end =
    R"sh(    "$concordat" train "${sites[i]}" &
  trainings+=($!)
done

# took PID: keeps the exit code of one that is gone; one that failed stops the others, which would
# wait for it for ever.
took() {
  local code=0 run
  finish "$1" || code=$?
  codes+=("$code")
  [ "$code" -ne 0 ] && [ "$code" -ne 75 ] || return 0
  say "a step ended with $code; all stop"
  for run in "${runs[@]}"; do touch "$run/STOP"; done
}
# gone NAME-OF-ARRAY: takes those that are gone out of it.
gone() {
  local -n list=$1
  local i
  for i in "${!list[@]}"; do
    kill -0 "${list[i]}" 2>/dev/null && continue
    took "${list[i]}"
    unset "list[i]"
  done
}
while [ "${#trainings[@]}" -gt 0 ]; do
  gone helpers
  gone trainings
  sleep 1 &
  wait $! || true
done

# worst: the code of what failed; else 75 if anything saved; else 0.
worst() {
  local code result=0
  for code in "${codes[@]}"; do
    case $code in 0) ;; 75) [ "$result" -ne 0 ] || result=75 ;; *) result=$code ;; esac
  done
  echo "$result"
}
# After the last round borders and coordinator end by themselves.
[ "$(worst)" -eq 0 ] || for folder in "$hub" "${folders[@]}"; do touch "$folder/STOP"; done
for helper in "${helpers[@]}"; do took "$helper"; done
for folder in "$hub" "${folders[@]}" "${runs[@]}"; do rm -f "$folder/STOP"; done
leave "$(worst)" "$hub" "${folders[@]}" "${runs[@]}"
)sh";

}  // namespace concordat::cli::slurm_text
// clang-format on
