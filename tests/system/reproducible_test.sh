#!/usr/bin/env bash
# reproducible_test.sh: in reproducible mode layouts of real ranks give the same losses, gradient
# norms and state, also when a run is stopped by USR1 and goes on in another layout; without it they
# do not. What the bits still depend on is recorded, and a change of it is announced.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-reproducible-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
steps=100

make_solo "$work" <<TOML
[train]
batch = 8
micro_batch = 8
log_every = 1
[run]
rounds = 1
inner_steps = $steps
[model]
width = 48
layers = 4
heads = 6
kv_heads = 2
ffn = 96
tied = true
[inner]
rate = 2e-3
length = 24
clip_norm = 0.3
TOML

# train EXIT_CODE RANKS RUN FLAG...
train() { trained "$1" "$work/$3.log" "$2" "$work/site.toml" --run.name="$3" --train.reproducible=true "${@:4}"; }
# steps_of RUN: step, loss and gradient norm of every step with all their digits, the last one made of it.
steps_of() {
  sed -n 's/.*"step":\([0-9]*\),.*"loss":\([-0-9.e+]*\),.*"gradient_norm":\([-0-9.e+]*\),.*/\1 \2 \3/p' \
    "$work/alba/runs/$1/metrics.jsonl" | awk '{line[$1] = $0} END {for (s in line) print line[s]}' | sort -n
}
# state_of RUN: the Merkle root of every tensor, weights and moments, of its last generation.
state_of() {
  local newest
  newest=$(ls -d "$work/alba/runs/$1/checkpoints"/step-* | sort -V | tail -n 1)
  tr ',' '\n' <"$newest/manifest.json" | grep -E '"(name|root)"' | tr -d '{}[] '
}
# same RUN: its steps and its state are those of the one rank.
same() {
  steps_of "$1" >"$work/$1.steps"
  state_of "$1" >"$work/$1.state"
  diff "$work/one.steps" "$work/$1.steps" >"$work/$1.diff" || fail "$1 has other losses or norms: $(head -n 5 "$work/$1.diff")"
  diff -q "$work/one.state" "$work/$1.state" >/dev/null || fail "$1 ends in another state"
  echo "$1: $steps steps and the state are those of one rank"
}

train 0 1 one
steps_of one >"$work/one.steps"
state_of one >"$work/one.state"
[ "$(wc -l <"$work/one.steps")" -eq "$steps" ] || fail "one rank made $(wc -l <"$work/one.steps") steps"
[ "$(grep -c root "$work/one.state")" -gt 100 ] || fail "the state has $(grep -c root "$work/one.state") tensors"
awk '$3 <= 0.3 {low++} END {exit low > NR / 2}' "$work/one.steps" || fail "hardly anything is clipped"

train 0 4 four --train.micro_batch=2 --layout.zero=1
same four
train 0 4 square --layout.pp=2 --train.schedule=zb-h1 --train.micro_batch=2 --layout.overlap=false
same square

# Two threads a rank round otherwise than one, but alike on every layout.
train 0 1 threads --train.threads=2 --run.inner_steps=5
train 0 2 threads-two --train.threads=2 --run.inner_steps=5 --train.micro_batch=2
[ "$(steps_of threads)" = "$(steps_of threads-two)" ] && [ "$(state_of threads)" = "$(state_of threads-two)" ] ||
  fail "two ranks of two threads differ from one of two threads"

# Stopped by USR1 in one layout, continued in a second and ended in a third.
moved=$work/alba/runs/moved
usr1_above() { # usr1_above STEP: to the mpirun of the run, when it has come that far; a step takes milliseconds
  until grep -q "\"event\":\"step\",.*\"step\":$1," "$moved/metrics.jsonl" 2>/dev/null; do sleep 0.01; done
  pkill -USR1 -f "mpirun .*$work/site.toml --run.name=moved"
}
usr1_above 3 & waiter=$!
train 75 2 moved --train.micro_batch=4
wait "$waiter"
after_first=$(steps_of moved | tail -n 1 | cut -d' ' -f1)
[ -e "$moved/REQUEUE" ] || fail "USR1 left no REQUEUE"
usr1_above "$((after_first + 1))" & waiter=$!
train 75 4 moved --layout.pp=2 --train.schedule=gpipe --train.micro_batch=2 --layout.zero=1
wait "$waiter"
after_second=$(steps_of moved | tail -n 1 | cut -d' ' -f1)
[ "$after_second" -gt "$after_first" ] && [ "$after_second" -lt "$((steps - 1))" ] || fail "stopped at $after_first and $after_second"
! grep -q "changed from" "$work/moved.log" || fail "a change was announced that changes no bits: $(grep "changed from" "$work/moved.log")"
train 0 1 moved --train.micro_batch=4
same moved

# What bits depend on is in the manifest, and a change of it is announced.
newest=$(ls -d "$moved/checkpoints"/step-* | sort -V | tail -n 1)
grep -q '"reproducible": *"logical_batch=2 logical_groups=4 cp=1 tp=1"' "$newest/manifest.json" || fail "the manifest does not say what the bits depend on"
for key in instruction_set threads_per_rank; do grep -q "\"$key\"" "$newest/manifest.json" || fail "no $key in the manifest"; done
train 0 2 moved --run.inner_steps="$((steps + 1))" --layout.tp=2 --train.threads=2
grep -q "the reproducible changed from 'logical_batch=2 logical_groups=4 cp=1 tp=1' to '.*tp=2'" "$work/moved.log" || fail "tp = 2 was not announced"
grep -q "the threads_per_rank changed from '1' to '2'" "$work/moved.log" || fail "two threads were not announced"

# The control: without the mode four replicas round otherwise.
train 0 1 plain --train.reproducible=false
train 0 4 plain-four --train.reproducible=false --train.micro_batch=2
[ "$(state_of plain)" != "$(state_of plain-four)" ] || fail "plain layouts give the same bits: nothing was tested"

train 64 3 refused
grep -qF "train.logical_groups" "$work/refused.log" && grep -qF "set train.logical_groups = 3" "$work/refused.log" ||
  fail "three replicas were not refused by key and remedy"
# The unit is chosen from the batch and its length alone: one that a micro-batch does not hold is refused.
train 64 1 refused --train.micro_batch=1
grep -qF "a multiple of 2 (chosen from inner.length and train.batch)" "$work/refused.log" && grep -qF "set train.logical_batch" "$work/refused.log" ||
  fail "a micro-batch of less than a unit was not refused by key and remedy"
train 0 1 smaller --train.micro_batch=1 --train.logical_batch=1 --run.inner_steps=2
echo "reproducible: all passed"
