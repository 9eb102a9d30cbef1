#!/usr/bin/env bash
# slurm_test.sh: every batch script of slurm/ is submitted to a real slurmctld with four virtual
# nodes. A federation in one heterogeneous job gives the state to compare with; then the same
# federation as jobs of its members in two partitions, while one site is held in the queue: USR1 and
# requeue, a true time limit, preemption, scancel, half the ranks, a job that leaves to its border
# twice and is brought back, one without a road outward whose files a job carries, and the same state
# in the end. Beside it runs alone: a chain, an array,
# and a job that is held since it makes no progress.
. "$(dirname "$0")/small_federation.sh"
. scripts/lib/one-node-slurm.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-slurm-XXXXXX")
trap 'status=$?; slurm_stop; [ $status -eq 0 ] && rm -rf "$work" || { tail -n 12 "$work"/*/*.out "$work"/*/*/*.out >&2; echo "left in $work" >&2; }' EXIT
kill_points || { echo "skipped: no kill points in this build"; trap - EXIT; rm -rf "$work"; exit 0; }
export CONCORDAT=$concordat
passed=0
ok() { passed=$((passed + 1)); echo "[${SECONDS}s] $*"; }

# wait_for WHAT COMMAND...: for as long as it takes, up to what only a hang takes. What Slurm says of a
# job, and what a job writes, is never looked at once: it may follow what was waited for a moment later.
wait_for() {
  local left=1500 what=$1
  shift
  until "$@" 2>/dev/null; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { squeue >&2; fail "waited in vain for: $what"; }
    sleep 0.2
  done
}
submit() { sbatch --parsable "$@"; }
# field JOB NAME: of the leading component, if it is a heterogeneous job. Empty when slurmctld does not answer.
field() { scontrol show job "$1" --oneliner | grep -oE "(^| )$2=[^ ]*" | head -n 1 | cut -d= -f2-; }
state_is() { [ "$(field "$1" JobState)" = "$2" ]; }
restarted() { [ "$(field "$1" Restarts)" -ge "$2" ]; }
says() { grep -q -- "$2" "$1"; }
says_times() { [ "$(grep -c -- "$2" "$1")" -ge "$3" ]; }
gone_from() { # gone_from PARTITION: no job is there, pending or running; unknown is not none
  local queue
  queue=$(squeue -h --partition="$1") && [ -z "$queue" ]
}

# ---- a federation of three sites whose bits do not depend on dp, and a site that trains alone
for site in "${sites[@]}"; do ranks[$site]=2; done
template=$work/template
make_template "$template"
{ sed 's/@SITE@/alba/; s/^batch = 16/batch = 4/; s/^micro_batch = 16/micro_batch = 2/; /^\[run\]/,$d' configs/solo.toml
  shared_keys "$template" | sed 's/^inner_steps = .*/inner_steps = 1000000/; s/^rounds = .*/rounds = 1/; s/^name = .*/name = "alone"/
    s/^width = .*/width = 32/; s/^layers = .*/layers = 2/; s/heads = .*/heads = 2/; s/^ffn = .*/ffn = 64/; s/^length = .*/length = 32/'
} >"$template/alba/solo.toml"

# ---- the scripts of slurm/ are what the command writes
# alba once more, with a spool.
mkdir "$template/spooled"
sed 's/^folder = .*/folder = "..\/alba"/; s/^road = .*/road = "spool"/' "$template/alba/site.toml" >"$template/spooled/site.toml"
for file in slurm/*.sbatch; do
  read -r -a words < <(sed -n 's/^# Made by: concordat slurm init //p' "$file")
  case $file in
    *one-centre*) from=$template ;;
    *coordinator*) from=$template/hub ;;
    *transfer*) from=$template/spooled ;;
    *) from=$template/alba ;;
  esac
  (cd "$from" && "$concordat" slurm init "${words[@]}") >"$work/made" || fail "$file cannot be made again"
  diff "$file" "$work/made" || fail "$file differs from what its own command line makes"
done
ok "the scripts of slurm/ are what the command writes"

# ---- a mover that could carry nothing is refused before it is submitted
refused() { # refused TEXT ARGUMENT...
  local code=0
  "$concordat" slurm init --role=mover --time=60 "${@:2}" >"$work/made" 2>"$work/refusal" || code=$?
  [ "$code" -eq 64 ] && grep -qF -- "$1" "$work/refusal" && grep -q 'remedy: ' "$work/refusal" && [ ! -s "$work/made" ] ||
    fail "a mover with ${*:2}: exit code $code: $(cat "$work/refusal" "$work/made")"
}
(
  cd "$template"
  refused 'federation.road = "tls"' --site=alba/site.toml --to=hub/spool/alba
  refused 'found: nothing; expected: --to' --site=spooled/site.toml
  refused 'both ends are one folder' --site=spooled/site.toml --to=./alba/spool
  refused 'cannot carry' --site=spooled/site.toml '--to=hub:/spool;reboot'
  refused 'cannot carry' --site=spooled/site.toml $'--to=hub\nreboot'
  refused '--margin' --site=spooled/site.toml --to=hub/spool/alba --margin=3600
  refused 'no such flag with --role=mover' --site=spooled/site.toml --to=hub/spool/alba --cpus-per-task=2
)
ok "a mover that could carry nothing is refused"
for site in "${sites[@]}"; do
  sed -i 's/^batch = 16/batch = 4/; s/^micro_batch = .*/micro_batch = 2/; s/^reproducible = false/reproducible = true/; s/^log_every = 10/log_every = 1/; s/^pin = "auto"/pin = "off"/' "$template/$site/site.toml"
done

slurm_start "$work/slurm"
ok "slurm is up"

# ---- one centre: everything in one heterogeneous job
one=$work/one
fresh_copy "$template" "$one"
cd "$one"
one_job=$(submit --output="$one/one.out" "$top/slurm/one-centre-hetjob.sbatch")

# ---- alone: a chain, an array of runs, and a job that is told to leave before its first step
alone=$work/alone
fresh_copy "$template" "$alone"
cd "$alone/alba"
wrapper() { # wrapper NAME FLAG...: the program with flags behind those of the script
  printf '#!/bin/sh\nexec %s "$@" %s\n' "$concordat" "${*:2}" >"$work/$1"
  chmod 755 "$work/$1"
}
wrapper few-steps --run.inner_steps=5
wrapper no-time --run.name=stuck --job.stop_margin_s=86400
"$concordat" slurm init --site=solo.toml --time=30 --border=none >"$work/stuck.sbatch"
mkdir "$alone/chain"
sed 's/^folder = .*/folder = "..\/alba"/' solo.toml >"$alone/chain/site.toml"
array=$(submit --output="$alone/array-%a.out" --array=1-2 --export="ALL,CONCORDAT=$work/few-steps" "$top/slurm/sweep-array.sbatch")
stuck=$(submit --output="$alone/stuck.out" --export="ALL,CONCORDAT=$work/no-time" "$work/stuck.sbatch")
cd "$alone/chain"
chain=$(submit "$top/slurm/train-chain.sbatch")

# ---- the federation as jobs of its members; cala is held in the queue
run=$work/run
fresh_copy "$template" "$run"
# Both coordinators run at once, and neither listens yet.
while [ "$(cat "$run/port")" = "$(cat "$one/port")" ]; do fresh_copy "$template" "$run"; done
sed -i "s|^bring_back = .*|bring_back = \"sbatch --output=train.log $work/half.sbatch\"|; s/^patience_s = .*/patience_s = 5/" "$run/alba/site.toml"
sed -i 's/^stop_margin_s = .*/stop_margin_s = 3/' "$run/brio/site.toml"
# cala has no road outward: it has a spool, from which a mover carries.
sed -i 's/^road = .*/road = "spool"/' "$run/cala/site.toml"
sed -i 's/^spool = .*/spool = "spool"/' "$run/hub/coordinator.toml"
cd "$run/hub"
hub=$(submit --partition=south --output="$run/hub/job.out" "$top/slurm/coordinator.sbatch")
small=(--nodes=1 --ntasks-per-node=2 --cpus-per-task=1)
for site in alba cala; do
  cd "$run/$site"
  declare "border_$site=$(submit --partition=south --output="$run/$site/border.out" "$top/slurm/border.sbatch")"
done
cd "$run/cala"
sed "s|^to='hub/spool/alba'|to='$run/hub/spool/cala'|; s/^every=60 /every=1 /" "$top/slurm/transfer.sbatch" >"$work/mover.sbatch"
mover=$(submit --partition=south --output="$run/cala/mover.out" "$work/mover.sbatch")
cd "$run/alba"
alba=$(submit --partition=north "${small[@]}" --output="$run/alba/train.log" "$top/slurm/train-srun.sbatch")
cd "$run/brio"
# A minute is the shortest limit of Slurm, which tells a job within the last half of it.
brio=$(submit --partition=south "${small[@]}" --time=1 --signal=B:USR1@5 \
  --output="$run/brio/train.log" "$top/slurm/train-mpirun.sbatch")
cd "$run/cala"
# Once released it says that it is ready, takes its steps, and dies.
cala=$(submit --hold --partition=south "${small[@]}" --export=ALL,CONCORDAT_KILL_AT=train.end_of_round:1 --output="$run/cala/train.log" "$top/slurm/train-srun.sbatch")
cd "$top"

# ---- USR1: saved, requeued, back
at_the_end() { [ -d "$run/$1/runs/quickstart/checkpoints/step-000002" ]; }
wait_for "alba at the end of its round" at_the_end alba
! says "$run/alba/train.log" 'threads on .* are not pinned' || fail "train.pin = off is not heeded"
scancel --signal=USR1 "$alba"
wait_for "alba back in the queue after USR1" restarted "$alba" 1
wait_for "alba running again" state_is "$alba" RUNNING
wait_for "alba where it was" says "$run/alba/train.log" 'restored step-000002'
wait_for "alba's script to say that it comes back" says "$run/alba/train.log" 'saved; back into the queue'
ok "USR1: saved, requeued, resumed"

# ---- a mover leaves in time, too, and what it carries goes on
wait_for "the mover at work" state_is "$mover" RUNNING
wait_for "a pass of the mover" test -d "$run/cala/spool/up"
scancel --batch --signal=USR1 "$mover"
wait_for "the mover back in the queue after USR1" restarted "$mover" 1
wait_for "the mover running again" state_is "$mover" RUNNING
ok "a mover is requeued"

# ---- one centre is done by now, and has the state that all must end with
wait_for "the federation of one centre" state_is "$one_job" COMPLETED
# All of its components are over when the first one is; its log was written by the script that ended.
states=$(for site in "${sites[@]}"; do sed -n "s/.*train $site.*the run is complete.*state //p" "$one/one.out" | tail -n 1; done | sort -u)
[ "$(wc -w <<<"$states")" -eq 1 ] || fail "the sites of one centre end with: $states"
expected=$states
audit_all "$one"
ok "one centre as a heterogeneous job: state ${expected:0:16}"

# ---- alone: array, chain, hold
wait_for "the array of runs" state_is "${array}_1" COMPLETED
wait_for "the array of runs" state_is "${array}_2" COMPLETED
for i in 1 2; do [ -d "$alone/alba/runs/sweep-$i/checkpoints/step-000005" ] || fail "run $i of the array left no checkpoint"; done
[ "$(newest_step "$alone/alba/runs/sweep-1")" != "$(newest_step "$alone/alba/runs/sweep-2")" ] || fail "both runs of the array are the same"
says "$alone/array-1.out" 'Slurm gave job\|not pinned: no batch system' || fail "an srun's log does not say what Slurm granted"
ok "an array of runs"
chain_log() { echo "$alone/chain/alba-$1.out"; }
wait_for "the chain's first job" says "$(chain_log "$chain")" ' follows'
first=$(sed -n 's/.*job \([0-9]*\) follows/\1/p' "$(chain_log "$chain")")
wait_for "the chain's next job in the queue" state_is "$first" PENDING
steps_above() { [ "$(newest_step "$1" | cut -d' ' -f1)" -gt "$2" ]; }
wait_for "the chain's first job at work" steps_above "$alone/alba/runs/alone" 1
scancel --signal=USR1 "$chain"
wait_for "the chain's second job" state_is "$first" RUNNING
wait_for "the chain's second job at work" says "$(chain_log "$first")" 'restored step-'
second=$(sed -n 's/.*job \([0-9]*\) follows/\1/p' "$(chain_log "$first")")
touch "$alone/alba/runs/alone/STOP"
wait_for "the chain to end" state_is "$second" CANCELLED
wait_for "the stopped job of the chain to be FAILED" state_is "$first" FAILED
ok "a chain goes on after USR1 and ends with STOP"
wait_for "the job without progress to be held" says "$alone/stuck.out" 'held without progress'
held() { state_is "$stuck" PENDING && [[ "$(field "$stuck" Reason)" =~ ^(JobHeldUser|job_requeued_in_held_state)$ ]]; }
wait_for "the job without progress to be held" held
wait_for "the hold to be explained" says "$alone/stuck.out" 'site.no_progress'
wait_for "the job without progress to have started three times" restarted "$stuck" 3
scancel "$stuck"
ok "a job without progress is held"

# ---- preemption: told by its own signal, back when the other job is over
cat >"$work/urgent.sbatch" <<'EOT'
#!/bin/bash
#SBATCH --partition=urgent --nodes=1 --nodelist=n1 --ntasks=16 --time=1
sleep 1
EOT
urgent=$(submit --output="$work/urgent.out" "$work/urgent.sbatch")
wait_for "alba preempted" restarted "$alba" 2
wait_for "the job of higher priority" state_is "$urgent" COMPLETED
wait_for "alba running again" state_is "$alba" RUNNING
wait_for "alba where it was" says_times "$run/alba/train.log" 'restored step-000002' 2
ok "preempted, and back"

# ---- cancelled: saved, and it stays away
stops=$(grep -c 'stopped as asked' "$run/alba/train.log")
scancel "$alba"
# Slurm calls it so when none of its processes is left: before, it is COMPLETING.
wait_for "alba cancelled" state_is "$alba" CANCELLED
wait_for "alba's last words" says_times "$run/alba/train.log" 'stopped as asked' $((stops + 1))
[ ! -e "$run/alba/runs/quickstart/REQUEUE" ] || fail "a cancelled job left REQUEUE"
! restarted "$alba" 3 || fail "a cancelled job came back"
ok "cancelled, and it stays so"

# ---- a true time limit
wait_for "brio back in the queue after its time limit" restarted "$brio" 1
wait_for "brio's script to say that it comes back" says "$run/brio/train.log" 'saved; back into the queue'
ok "a time limit: saved and requeued"

# ---- half the ranks, and no processor is kept while others train
[ ! -e "$run/alba/runs/quickstart/outbox/round-0.0.0/COMMIT" ] || fail "alba committed without cala"
waits_for_cala() { grep -q cala <("$concordat" status "$run/hub"); }
wait_for "the coordinator to say that it waits for cala" waits_for_cala
grep -q '^spool cala  *up: .*; down: ' <("$concordat" status "$run/hub") || fail "the coordinator says nothing of cala's spool"
wait_for "cala to be held in the queue" state_is "$cala" PENDING
cd "$run/alba"
sed -i 's/^exit_between_rounds = false/exit_between_rounds = true/' site.toml
"$concordat" slurm init --site=site.toml --time=30 --partition=north >"$work/half.sbatch"
half=$(submit --output=train.log "$work/half.sbatch")
cd "$top"
wait_for "alba leaving while cala is missing" state_is "$half" FAILED
grep -qx 'num_ranks = 1' "$run"/alba/runs/quickstart/outbox/round-0.0.0/key-* || fail "alba's job of half the ranks did not take over"
[ "$(cat "$run/alba/runs/quickstart/WAITING")" = 0.0.0 ] || fail "alba does not say what it waits for"
[ ! -e "$run/alba/runs/quickstart/REQUEUE" ] || fail "a job that left to its border wants a requeue"
ok "half the ranks; left while a site is pending"

scontrol release "$cala"
wait_for "cala's death" state_is "$cala" FAILED
wait_for "alba's commit" test -e "$run/alba/runs/quickstart/outbox/round-0.0.0/COMMIT"
left_after_commit() { [ -e "$run/alba/runs/quickstart/WAITING" ] && gone_from north; }
wait_for "alba leaving after its commit" left_after_commit
[ ! -e "$run/alba/runs/quickstart/inbox/round-0.0.0/CLOSED" ] || fail "the exchange closed without cala"
cd "$run/cala"
cala=$(submit --partition=south "${small[@]}" --output=train.log "$top/slurm/train-srun.sbatch")
cd "$top"
wait_for "the exchange closed while alba's job was gone" says "$run/alba/border.out" 'round 0: closed'
ok "a border ended the exchange without its training job"

# ---- the run ends as it must
for job in brio cala border_alba border_cala mover hub; do wait_for "$job at the end" state_is "${!job}" COMPLETED; done
wait_for "alba's last job" gone_from north
found=$(final_state "$run")
[ "$found" = "$expected" ] || fail "the final state is $found, in one job $expected"
audit_all "$run"
[ "$(grep -c 'the ranks can go on; running' "$run/alba/border.out")" -ge 2 ] || fail "alba's border did not bring the job back twice"
ok "the same state as in one job"
says "$run/cala/mover.out" 'nothing is left to carry' || fail "the mover does not say why it ends"
[ -z "$(find "$run/cala/spool/up" -name '*.spool')" ] || fail "the mover left something behind"
grep -q '  spool  *up: nothing; down: ' <("$concordat" status "$run/cala") || fail "the site says nothing of its spool"
ok "a site without a road outward"
echo "slurm: $passed passed"
