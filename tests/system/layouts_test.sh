#!/usr/bin/env bash
# layouts_test.sh: a site's layout is its own affair. Eight ranks in tp x pp x dp, and six in cp and
# tp, train as one rank does; a stopped run goes on from its checkpoint in another layout; what does
# not divide is refused by its key.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-layouts-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
steps=40

make_solo "$work" <<TOML
[train]
batch = 8
micro_batch = 2
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
TOML

# train EXIT_CODE RANKS RUN FLAG...
train() { trained "$1" "$work/$3.log" "$2" "$work/site.toml" --run.name="$3" "${@:4}"; }
# same_losses RUN: every step's within 1e-3 of the one rank's.
same_losses() {
  losses "$1" >"$work/$1.losses"
  [ "$(wc -l <"$work/$1.losses")" -eq "$steps" ] || fail "$1 made $(wc -l <"$work/$1.losses") steps"
  join "$work/one.sorted" <(sort "$work/$1.losses") | awk -v run="$1" -v steps="$steps" '
    {d = $2 - $3; if (d < 0) d = -d; if (d > worst) worst = d; n++}
    END {printf "%s: %d steps, largest difference %.2g\n", run, n, worst; exit !(n == steps && worst <= 1e-3)}' ||
    fail "$1 trains otherwise than one rank"
}

# no_growth RUN: the first rank's resident memory from the third step to the last, in bytes.
no_growth() {
  sed -n 's/.*"event":"step".*"step":\([0-9]*\),.*"resident_bytes":\([0-9]*\).*/\1 \2/p' "$work/alba/runs/$1/metrics.jsonl" |
    awk -v run="$1" '$1 == 2 {early = $2} {late = $2; n++}
      END {printf "%s: %.1f MiB after step 3, %.1f MiB after step %d\n", run, early / 2^20, late / 2^20, n
           exit !(early > 2^20 && late <= early + 2^20)}' || fail "$1 grows"
}

train 0 1 one
no_growth one
losses one >"$work/one.losses"
sort "$work/one.losses" >"$work/one.sorted"
[ "$(wc -l <"$work/one.losses")" -eq "$steps" ] || fail "one rank made $(wc -l <"$work/one.losses") steps"
first=$(head -n 1 "$work/one.losses" | cut -d' ' -f2) last=$(tail -n 1 "$work/one.losses" | cut -d' ' -f2)
awk -v a="$first" -v b="$last" 'BEGIN {exit !(b < a - 0.5)}' || fail "nothing was learned: $first to $last"

train 0 8 eight --layout.tp=2 --layout.pp=2
same_losses eight
no_growth eight
train 0 8 eight-zero --layout.tp=2 --layout.pp=2 --layout.zero=1 --layout.sequence_parallel=true --train.schedule=zb-h1
same_losses eight-zero
no_growth eight-zero

# Odd meshes of six: three stages, and three replicas that share eight sequences unevenly.
train 0 6 six-stages --layout.pp=3 --layout.tp=2 --train.schedule=zb-h1
same_losses six-stages
train 0 6 six-replicas --layout.tp=2 --layout.zero=1
same_losses six-replicas

# Stopped in one layout, continued in a second and ended in a third. Six ranks of tp share two
# key-value heads by threes; three of cp share the sequences.
moved=$work/alba/runs/moved
stop_above() { # stop_above STEP: when the run has come that far
  until [ -e "$moved/metrics.jsonl" ] && [ "$(losses moved | tail -n 1 | cut -d' ' -f1)" -ge "$1" ] 2>/dev/null; do sleep 0.05; done
  touch "$moved/STOP"
}
stop_above 3 & waiter=$!
train 75 6 moved --layout.tp=6 --layout.sequence_parallel=true
wait "$waiter"
after_first=$(losses moved | tail -n 1 | cut -d' ' -f1)
rm -f "$moved/STOP"
stop_above "$((after_first + 3))" & waiter=$!
train 75 6 moved --layout.cp=3 --layout.zero=1
wait "$waiter"
after_second=$(losses moved | tail -n 1 | cut -d' ' -f1)
[ "$after_second" -gt "$after_first" ] && [ "$after_second" -lt "$((steps - 1))" ] || fail "stopped at $after_first and $after_second"
rm -f "$moved/STOP"
train 0 2 moved --layout.pp=2 --train.schedule=interleaved --train.chunks=2
grep -q "restored step-" "$work/moved.log" || fail "the third layout did not start from a checkpoint"
same_losses moved

# Six ranks on fewer processors are not pinned, and pinning them is refused; two are pinned
# where the machine is said to be theirs, and the kernel says so too.
processors=$(env -u OMP_NUM_THREADS nproc)
six=(--run.inner_steps=2 --layout.tp=6)
if [ "$processors" -lt 6 ]; then
  train 0 6 unpinned "${six[@]}"
  grep -q "are not pinned: ranks 0, 1, 2, 3, 4, 5 have 6 threads for $processors processor" "$work/unpinned.log" ||
    { cat "$work/unpinned.log" >&2; fail "nothing about pinning six ranks on $processors processors"; }
  train 64 6 forced "${six[@]}" --train.pin=on
  grep -q "train.pin on host" "$work/forced.log" || { cat "$work/forced.log" >&2; fail "no reason why six ranks are not pinned"; }
fi
watch_affinity() { # of the training processes, while they run
  local status
  until [ -e "$work/alba/runs/pinned/metrics.jsonl" ]; do sleep 0.05; done
  for status in $(pgrep -f -- "--run.name=pinned" | sed 's|.*|/proc/&/status|'); do
    ! grep -q '^Name:.concordat' "$status" 2>/dev/null || sed -n 's/^Cpus_allowed_list:.//p' "$status"
  done >"$work/affinity"
}
if [ "$processors" -ge 2 ]; then
  watch_affinity & waiter=$!
  train 0 2 pinned --layout.tp=2 --run.inner_steps=300 --train.pin=on
  wait "$waiter"
  grep -q "are pinned (train.pin = on): rank 0 to" "$work/pinned.log" || { cat "$work/pinned.log" >&2; fail "two ranks were not pinned"; }
  [ "$(sort -u "$work/affinity" | wc -l)" -eq 2 ] || { cat "$work/affinity" >&2; fail "the kernel does not hold two ranks apart"; }
fi

# refused KEY EXPECTED RANKS FLAG...
refused() {
  local key=$1 expected=$2 ranks=$3
  shift 3
  train 64 "$ranks" refused "$@"
  grep -qF "$key" "$work/refused.log" && grep -qF "$expected" "$work/refused.log" ||
    { cat "$work/refused.log" >&2; fail "no $key or '$expected' in the refusal of $*"; }
}
refused layout.tp "a divisor of model.heads = 6" 4 --layout.tp=4
refused '[layout]' "tp x pp x cp that divides 5" 5 --layout.tp=2
refused layout.cp "a divisor of 24" 5 --layout.cp=5
refused layout.pp "at most 4 parts" 5 --layout.pp=5
refused layout.sequence_parallel "a multiple of 2 rows" 2 --layout.tp=2 --layout.sequence_parallel=true \
  --inner.length=25 --train.micro_batch=1
echo "layouts: all passed"
