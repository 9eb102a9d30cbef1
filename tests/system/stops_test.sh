#!/usr/bin/env bash
# stops_test.sh: a missing site is waited for; USR1, TERM and STOP save and exit 75; the run goes on
# from there and ends with the state of an undisturbed run. A single process without mpirun: SAVE
# saves and goes on, TERM saves and exits 75.
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-stops-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

template=$work/template
make_template "$template"
fresh_copy "$template" "$work/undisturbed"
# Over IPv6 where the machine has it: addresses are written [::1]:PORT everywhere.
if grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6; then
  sed -i 's/"127\.0\.0\.1:/"[::1]:/' "$work"/undisturbed/{hub/coordinator,alba/site,brio/site,cala/site}.toml
fi
run_federation "$work/undisturbed" >/dev/null
expected=$(final_state "$work/undisturbed")

expect_code() { # expect_code CODE PID WHAT
  local code=0
  wait "$2" || code=$?
  [ "$code" -eq "$1" ] || fail "$3 ended with $code, expected $1"
}

run=$work/run
fresh_copy "$template" "$run"
start_coordinator "$run" & hub=$!
for site in alba brio; do
  start_border "$run" "$site" & eval "border_$site=\$!"
  start_training "$run" "$site" & eval "train_$site=\$!"
done

# cala is missing: both others train their round and wait, nothing fails.
wait_for 30 "alba at the end of its round" test -d "$run/alba/runs/quickstart/checkpoints/step-000002"
sleep 2
kill -0 "$hub" "$border_alba" "$train_alba" || fail "somebody gave up while cala was missing"
for text in cala 'each verified, not signed yet'; do
  grep -q "$text" <("$concordat" status "$run/hub") || fail "status of the coordinator lacks '$text': $("$concordat" status "$run/hub")"
done
[ ! -e "$run/alba/runs/quickstart/outbox/round-0.0.0/COMMIT" ] || fail "alba committed without cala"
says() { "$concordat" status "$1" >"$work/status.txt" && grep -q -- "$2" "$work/status.txt"; } # says FOLDER TEXT
for text in 'round 0: inner steps done, waiting to mask' 'the border waits until every site is ready' 'step 2 of 4, rounds done: 0 of 2'; do
  says "$run/alba" "$text" || fail "status of alba lacks '$text': $(cat "$work/status.txt")"
done

# No process that holds keys or plaintext leaves a core; every rank says where it runs.
for role in "coordinate $run/hub/" "border $run/alba/" "train $run/brio/"; do
  pids=$(pgrep -f "^[^ ]*concordat $role") || fail "no process of: $role"
  for pid in $pids; do
    grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits" || fail "$role may dump its core: $(grep core "/proc/$pid/limits")"
  done
done
grep -Eq 'rank 1 on [^ ]+: 1 thread on processors [0-9]' "$run/brio/train.log" || fail "brio's rank 1 does not say where it runs"

# A border that runs writes what others hand it: a new dataset gets its entry while cala is missing.
make_texts "$work/more" more
timeout 60 "$concordat" ingest --site "$run/alba" --name more --source "$work/more" --language de --purpose more >"$work/ingest.txt" ||
  fail "ingest beside a border ended with $?"
index=$(sed -n 's/.*ledger entry \([0-9]*\)$/\1/p' "$work/ingest.txt")
sed -n "$((index + 1))p" "$run/alba/ledger/log.jsonl" | grep -q '"kind":"ingest","key":"ingest/more/' || fail "no ingest in line $((index + 1))"

# USR1 to mpirun: saved, 75, and REQUEUE for the batch script. STOP: 75 without it. TERM to border and coordinator: 75.
pkill -USR1 -f "mpirun.* train $run/alba/site.toml"
expect_code 75 "$train_alba" "training after USR1"
[ -e "$run/alba/runs/quickstart/REQUEUE" ] || fail "USR1 left no REQUEUE"
touch "$run/brio/runs/quickstart/STOP"
expect_code 75 "$train_brio" "training after STOP"
[ ! -e "$run/brio/runs/quickstart/REQUEUE" ] || fail "STOP left REQUEUE"
pkill -TERM -f "concordat border $run/alba/"
expect_code 75 "$border_alba" "border after TERM"
pkill -TERM -f "concordat coordinate $run/hub/"
expect_code 75 "$hub" "coordinator after TERM"

# Without the coordinator a border says so; without a border a job does, and how to start one.
wait_for 60 "brio's border misses the coordinator" says "$run/brio/runs/quickstart" 'the border cannot reach the coordinator at 127.0.0.1'
says "$run/hub" 'it was stopped: the same command goes on' || fail "status of the hub: $(cat "$work/status.txt")"
start_training "$run" cala & pids=($!)
wait_for 60 "cala's job misses its border" grep -q 'no border answers.*start .concordat border' "$run/cala/train.log"
says "$run/cala" 'no border runs: start' || fail "status of cala: $(cat "$work/status.txt")"

# Everybody comes back with the same commands, and cala joins.
start_coordinator "$run" & pids+=($!)
start_border "$run" alba & pids+=($! "$border_brio")
start_training "$run" alba & pids+=($!)
start_training "$run" brio & pids+=($!)
start_border "$run" cala & pids+=($!)
wait_all "${pids[@]}" || fail "a process failed after the stops: $(tail -n 2 "$run"/*/*log "$run"/hub/log)"
found=$(final_state "$run")
says "$run/alba/runs/quickstart" '^run quickstart *finished$' || fail "status of a finished run: $(cat "$work/status.txt")"
# Every generation of every site has its entry, those that the stops wrote too.
for site in "${sites[@]}"; do
  for generation in "$run/$site/runs/quickstart/checkpoints"/step-*; do
    hash=$(sha256sum "$generation/manifest.json" | cut -c 1-16)
    grep -q "/checkpoint/quickstart/$(basename "$generation")/$hash\"" "$run/$site/ledger/log.jsonl" || fail "$generation has no entry in the ledger"
  done
  ! compgen -G "$run/$site/handover/*.entry" >/dev/null || fail "entries of $site still wait"
done
[ "$found" = "$expected" ] || fail "the final state is $found, undisturbed $expected"
audit_all "$run"

# One process without mpirun, on its own.
{ sed 's/@SITE@/alba/; /^\[run\]/,$d' configs/solo.toml; shared_keys "$run"; } >"$run/alba/solo.toml"
alone=$run/alba/runs/alone
step_above() { [ "$(newest_step "$alone" | cut -d' ' -f1)" -gt "$1" ]; }
has_generation() { compgen -G "$alone/checkpoints/step-*" >/dev/null; }
flags=()
for flag in "${tiny[@]}"; do case $flag in --run.*) ;; *) flags+=("$flag") ;; esac; done
OMP_NUM_THREADS=1 "$concordat" train "$run/alba/solo.toml" "${flags[@]}" --run.name=alone --run.rounds=1 --run.inner_steps=1000000 \
  --train.batch=4 --train.micro_batch=2 --train.log_every=1 >"$run/alba/alone.log" 2>&1 & solo=$!
wait_for 60 "training alone" step_above 2
# A second job on the same run folder is refused, naming the first.
! OMP_NUM_THREADS=1 "$concordat" train "$run/alba/solo.toml" "${flags[@]}" --run.name=alone >"$run/alba/second.log" 2>&1 || fail "two jobs on one run folder"
grep -qF "found: $(cat "$alone/train.lock")" "$run/alba/second.log" || fail "the holder of the run folder is not named: $(cat "$run/alba/second.log")"
! has_generation || fail "a generation before SAVE: $(ls "$alone/checkpoints")"
touch "$alone/SAVE"
wait_for 30 "a generation after SAVE" has_generation
saved=$(newest_step "$alone" | cut -d' ' -f1)
wait_for 30 "training goes on after SAVE" step_above "$((saved + 2))"
[ ! -e "$alone/SAVE" ] || fail "SAVE was not used up"
generations=$(ls "$alone/checkpoints" | grep -c '^step-')
kill -TERM "$solo"
expect_code 75 "$solo" "training alone after TERM"
[ "$(ls "$alone/checkpoints" | grep -c '^step-')" -gt "$generations" ] || fail "TERM saved nothing"
grep -q '"event":"save".*"pause_s":' "$alone/metrics.jsonl" || fail "no save in metrics.jsonl"
[ ! -e "$alone/REQUEUE" ] || fail "TERM left REQUEUE"

# A validation ends when asked to: minutes of it are left out, and the steps are saved already.
mkdir "$work/long"
for i in $(seq 40); do seq -f "Satz %.0f von vielen in Dokument $i." 600 >"$work/long/$i.txt"; done
"$concordat" ingest --site "$run/alba" --name long --source "$work/long" --language de --purpose long --validation-permille 500 >/dev/null
alone=$run/alba/runs/validates
OMP_NUM_THREADS=1 "$concordat" train "$run/alba/solo.toml" "${flags[@]}" --model.width=512 --run.name=validates --run.rounds=1 --run.inner_steps=1 \
  --data.datasets=long --train.batch=1 --train.micro_batch=1 --train.eval_windows=1000000 >"$run/alba/validates.log" 2>&1 & solo=$!
wait_for 60 "the last step saved" has_generation
kill -TERM "$solo"
expect_code 75 "$solo" "a validation after TERM"
grep -q 'stopped as asked in the validation' "$run/alba/validates.log" || fail "no validation was stopped: $(tail -n 2 "$run/alba/validates.log")"

# A federation of which one job cannot start ends as a whole and leaves nothing running.
broken=$work/broken
fresh_copy "$template" "$broken"
sed -i 's/^pp = .*/pp = 7/' "$broken/brio/site.toml"
! run_federation "$broken" >"$work/broken.log" 2>&1 || fail "a federation of a job that cannot start"
grep -q 'training of brio .* failed' "$work/broken.log" || fail "who failed is not said: $(cat "$work/broken.log")"
none_left() { ! pgrep -f "concordat [a-z]* $broken/" >/dev/null; }
wait_for 20 "the other programs of a failed federation" none_left
echo "stops: 11 passed"
