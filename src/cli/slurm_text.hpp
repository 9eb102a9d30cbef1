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

inline constexpr std::string_view functions = R"sh(
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

# Whether Slurm ended this job: it preempts it (and calls it running), or its time is over. A person's
# scancel sends TERM as well.
ended_by_slurm() {
  local job
  job=$(scontrol show job "$SLURM_JOB_ID" --oneliner 2>/dev/null) || return 1
  [[ $job == *" JobState=RUNNING "* && $job == *" PreemptTime="[0-9]* ]] || [[ $job == *" Reason=TimeLimit "* ]]
}

# come_back CODE FOLDER...: whether the job that ended so wants to run again. A TERM counts more than a
# REQUEUE: it may have come when the program was already writing its last save.
termed=
come_back() {
  local code=$1 folder
  shift
  case $code in
    75) ;;
    138) [ -z "$termed" ] && return ;; # by USR1, before the program could listen
    *) return 1 ;;
  esac
  if [ -z "$termed" ]; then
    for folder in "$@"; do [ ! -e "$folder/REQUEUE" ] || return 0; done
  fi
  ended_by_slurm
}

# stop FOLDER...: as a person would, by STOP files. forget takes away those that nobody took, and an
# earlier job's wish to come back.
stop() {
  local folder
  for folder in "$@"; do echo "job $SLURM_JOB_ID" >"$folder/STOP"; done
}
forget_stop() {
  local folder
  for folder in "$@"; do
    if grep -qs '^job ' "$folder/STOP"; then rm -f "$folder/STOP"; fi
  done
}
forget() {
  local folder
  for folder in "$@"; do rm -f "$folder/REQUEUE"; done
  forget_stop "$@"
}
)sh";

inline constexpr std::string_view leave_requeue = R"sh(
# leave CODE FOLDER...: back into the queue, held without progress, or the end. A TERM ends it at once.
leave() {
  local code=$1
  trap '' USR1
  trap - TERM
  if come_back "$@"; then
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
# drop: the next job of the chain is taken away.
successor=
drop() {
  [ -z "$successor" ] || scancel "$successor" || say "job $successor is still queued: take it away"
  successor=
}

# leave CODE FOLDER...: the chain goes on, or its next job is taken away.
leave() {
  local code=$1
  trap '' USR1
  if [ -n "$successor" ] && come_back "$@"; then
    say "saved; job $successor goes on"
  else
    say "the chain ends here"
    drop
  fi
  exit "$code"
}
)sh";

inline constexpr std::string_view queue_successor = R"sh(
# The next job of the chain is queued first, so that the chain outlives this job's node. It must not
# inherit what Slurm told this job, and no signal may keep its number from this script. It does not
# get the options of sbatch's command line either: they belong into the lines above.
successor=$(
  trap '' TERM USR1
  job=$SLURM_JOB_ID
  for name in "${!SLURM_@}"; do [ "$name" = SLURM_CONF ] || unset "$name"; done
  sbatch --parsable --dependency="afterany:$job" "$0"
)
successor=${successor%%;*}
say "job $successor follows"
[ -z "$termed" ] || ended_by_slurm || drop
)sh";

inline constexpr std::string_view on_usr1 = R"sh(
# tell: passes USR1 on, again and again, because what is only being started does not hear it.
told=() asked= telling=
tell() {
  [ "${#told[@]}" -gt 0 ] && [ -z "$telling" ] || return 0
  telling=yes
  kill -USR1 "${told[@]}" 2>/dev/null || true
  (pause=2 && while sleep "$pause" && kill -USR1 "${told[@]}" 2>/dev/null; do pause=10; done) &
}
on_usr1() {
  signals=$((signals + 1)) asked=yes
  tell
}
)sh";

inline constexpr std::string_view term_of_srun =
    R"sh(# Slurm sends TERM to every step itself; this shell must only outlive them.
)sh";

inline constexpr std::string_view term_of_single =
    R"sh(folder=
# TERM becomes a STOP file, which a program that is only being started finds as well.
)sh";

inline constexpr std::string_view term_of_mpirun =
    R"sh(run=
# mpirun passes USR1 on to its ranks. TERM, which Slurm sends to every process of this script, would
# make it kill them: it is kept from mpirun, and a STOP file takes its place.
)sh";

inline constexpr std::string_view end_time = R"sh(
# When this job ends, where Slurm does not say it itself: jobs leave in time without any signal.
if [ -z "${SLURM_JOB_END_TIME:-}" ]; then
  ends=$(squeue --noheader --job "$SLURM_JOB_ID" --format %e | head -n 1) || ends=
  SLURM_JOB_END_TIME=$(date -d "${ends:-none}" +%s 2>/dev/null) || true
  export SLURM_JOB_END_TIME
fi
)sh";

inline constexpr std::string_view run_folder =
    R"sh(run=$("$concordat" slurm folder "$site" "${flags[@]}")
(umask 077 && mkdir -p "$run") # no job has made it yet, if this is the first
)sh";

inline constexpr std::string_view launch_mpirun = R"sh(
"$concordat" slurm launch mpirun --bind-to none -n "$SLURM_NTASKS" \
  "$concordat" train "$site" "${flags[@]}" &
training=$!
told=("$training")
[ -z "$asked" ] || tell
[ -z "$termed" ] || stop "$run"
)sh";

inline constexpr std::string_view launched_srun = R"sh(training=$!
told=("$training")
[ -z "$asked" ] || tell
)sh";

inline constexpr std::string_view start_border = R"sh(
"$concordat" border "$site" "${flags[@]}" &
border=$!
border_code=0
)sh";

inline constexpr std::string_view watch_border = R"sh(
# Without a border the ranks would wait for ever: when it ends before them they stop, to come back if
# it wants that.
while kill -0 "$training" 2>/dev/null; do
  if [ -n "$border" ] && ! kill -0 "$border" 2>/dev/null; then
    finish "$border" || border_code=$?
    border=
    if [ "$border_code" -ne 0 ]; then
      say "the border ended with $border_code; training stops"
      if come_back "$border_code" "$folder"; then tell; else stop "$run"; fi
    fi
  fi
  sleep 1 &
  wait $! || true
done
)sh";

inline constexpr std::string_view end_training = R"sh(
code=0
finish "$training" || code=$?
forget_stop "$run"
)sh";

inline constexpr std::string_view leave_training = R"sh(leave "$code" "$run"
)sh";

inline constexpr std::string_view end_border = R"sh(
# After the last round the border ends by itself, once the coordinator has this site's proof.
if [ -n "$border" ]; then
  [ "$code" -eq 0 ] || kill -TERM "$border" 2>/dev/null || true
  finish "$border" || border_code=$?
fi
case $border_code in
  0 | 75 | 138 | 143) [ "$code" -ne 0 ] || code=$border_code ;;
  *) code=$border_code ;;
esac
leave "$code" "$run" "$folder"
)sh";

inline constexpr std::string_view end_single = R"sh(child=$!
told=("$child")
[ -z "$asked" ] || tell
[ -z "$termed" ] || stop "$folder"
code=0
finish "$child" || code=$?
forget_stop "$folder"
leave "$code" "$folder"
)sh";

inline constexpr std::string_view one_centre_start =
    R"sh(hub=$("$concordat" slurm folder --role=coordinator "$coordinator")
runs=() folders=()
for site in "${sites[@]}"; do
  runs+=("$("$concordat" slurm folder "$site")")
  folders+=("$("$concordat" slurm folder --role=border "$site")")
done
(umask 077 && mkdir -p "${runs[@]}") # no job has made them yet, if this is the first
forget "$hub" "${folders[@]}" "${runs[@]}"

helpers=() trainings=() codes=()
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
told=("${helpers[@]}" "${trainings[@]}")
[ -z "$asked" ] || tell

# took PID: keeps the exit code of one that is gone. If it is not done, the others stop, which would
# wait for it for ever: to come back if it wants that.
took() {
  local code=0
  finish "$1" || code=$?
  codes+=("$code")
  [ "$code" -ne 0 ] || return 0
  say "a step ended with $code; all stop"
  if come_back "$code" "$hub" "${folders[@]}" "${runs[@]}"; then tell; else stop "$hub" "${folders[@]}" "${runs[@]}"; fi
}
# gone NAME-OF-ARRAY: takes those that are gone out of it.
gone() {
  local -n list=$1
  local i pid
  for i in "${!list[@]}"; do
    pid=${list[i]}
    ! kill -0 "$pid" 2>/dev/null || continue
    unset "list[i]"
    told=("${helpers[@]}" "${trainings[@]}")
    took "$pid"
  done
}
# worst: the code of what failed; else 75 if anything saved; else 0.
worst() {
  local code result=0
  for code in "${codes[@]}"; do
    case $code in 0) ;; 75 | 138) [ "$result" -ne 0 ] || result=$code ;; *) result=$code ;; esac
  done
  echo "$result"
}
# After the last round borders and coordinator end by themselves, and only then.
while [ $((${#helpers[@]} + ${#trainings[@]})) -gt 0 ]; do
  gone helpers
  gone trainings
  [ "${#trainings[@]}" -gt 0 ] || [ "$(worst)" -eq 0 ] || stop "$hub" "${folders[@]}"
  sleep 1 &
  wait $! || true
done
forget_stop "$hub" "${folders[@]}" "${runs[@]}"
leave "$(worst)" "$hub" "${folders[@]}" "${runs[@]}"
)sh";

}  // namespace concordat::cli::slurm_text
// clang-format on
