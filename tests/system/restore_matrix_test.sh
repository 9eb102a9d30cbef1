#!/usr/bin/env bash
# restore_matrix_test.sh [cycle|all]: what one layout saved, every other goes on from.
#
# cycle: one run goes through all eight layouts and back to the first, three steps in each, and a
# shorter one in fp16; their losses are those of one undisturbed rank.
# all: after $before steps each layout's generation is restored in each of the eight, and 20 more
# steps follow: with the losses of the run that went on undisturbed, exactly at the same layout and
# in reproducible mode over the layouts that it covers, else within 1e-3 of them. A restore proves
# by itself that every tensor has the Merkle root that was saved, and fails otherwise. Then the same
# through a cycle in bf16 and fp16, and a federation whose sites come back in other layouts.
. "$(dirname "$0")/solo_site.sh"
mode=${1:-cycle}
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-matrix-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
before=6 after=20

# A rate that does not depend on how many steps there will be: each job ends at a step of its own.
make_solo "$work" <<TOML
[train]
batch = 8
micro_batch = 2
log_every = 1
[run]
rounds = 1
inner_steps = $before
$(small_model 4)
[inner]
rate = 1e-3
floor_ratio = 1
warmup_steps = 2
length = 24
TOML

names=(one zero tp rows pp cp six eight)
declare -A size=([one]=1 [zero]=2 [tp]=2 [rows]=4 [pp]=2 [cp]=2 [six]=6 [eight]=8)
declare -A flags=(
  [one]="" [zero]="--layout.zero=1" [tp]="--layout.tp=2" [cp]="--layout.cp=2"
  [rows]="--layout.tp=2 --layout.sequence_parallel=true --layout.zero=1"
  [pp]="--layout.pp=2 --train.schedule=zb-h1"
  [six]="--layout.cp=3 --layout.zero=1"
  [eight]="--layout.tp=2 --layout.pp=2 --layout.sequence_parallel=true --layout.zero=1")
# What reproducible mode promises the same bits over.
same_bits=(one zero pp square)
size[square]=4 flags[square]="--layout.pp=2 --layout.zero=1 --train.schedule=gpipe"

# go RUN LAYOUT STEPS FLAG...: goes on with the run, from whatever it has, up to that many steps.
go() {
  # shellcheck disable=SC2086  # the flags are words
  trained 0 "$work/$1.log" "${size[$2]}" "$work/site.toml" --run.name="$1" --run.inner_steps="$3" ${flags[$2]} "${@:4}"
}
# restored RUN STEP: the job began with the generation of that step.
restored() { grep -q "restored step-$(printf %06d "$2"):" "$work/$1.log" || fail "$1 did not go on from step $2: $(tail -n 3 "$work/$1.log")"; }
# cycle NAME FLAG...: three steps in each layout in turn.
cycle() {
  local name=$1 step=0 layout
  shift
  for layout in "${walk[@]}"; do
    step=$((step + 3))
    go "$name" "$layout" "$step" "$@"
    [ "$step" -eq 3 ] || restored "$name" $((step - 3))
  done
  go "$name-undisturbed" one "$step" "$@"
  alike "$name" "$name-undisturbed" "$step" 1e-3
}

# other_bits RUN REFERENCE: what was trained in another precision has other losses than fp32.
other_bits() { ! diff -q <(losses "$1") <(losses "$2" | head -n "$(losses "$1" | wc -l)") >/dev/null || fail "$1 has the losses of $2"; }
# scaled RUN STEPS: the loss scale went through all layouts: its newest generation says what a reader of the steps
# counts, as the undisturbed run's does, and not all steps were skipped.
scaled() {
  local last from
  from=$(newest "$1")
  last=$(sed -n 's/.*"event":"step".*"step":\([0-9]*\),.*"loss_scale":\([0-9.e+]*\),"skipped":\([a-z]*\).*/\1 \2 \3/p' "$work/alba/runs/$1/metrics.jsonl" |
    awk '{scale[$1] = $2; skip[$1] = $3; if ($1 + 0 > most) most = $1 + 0; n++}
      END {for (s = 0; s <= most; ++s) if (s in scale) {if (skip[s] == "true") {good = 0; skipped++} else good++}; print good + 0, skipped + 0}')
  [ "$last" = "$(kept "$from" loss_scale.good_steps) $(kept "$from" skipped_steps)" ] ||
    fail "$1: good and skipped steps are $last, and $(kept "$from" loss_scale.good_steps) $(kept "$from" skipped_steps) in its generation"
  for key in loss_scale loss_scale.good_steps skipped_steps; do
    [ "$(kept "$from" $key)" = "$(kept "$(newest "$1-undisturbed")" $key)" ] || fail "$1: another $key than undisturbed"
  done
  [ "$(kept "$from" skipped_steps)" -lt "$(($2 / 2))" ] || fail "$1 skipped $(kept "$from" skipped_steps) of $2 steps"
}

# matrix PREFIX EXACT LAYOUT... -- FLAG...: all pairs of the layouts.
matrix() {
  local prefix=$1 exact=$2 from to layouts=()
  shift 2
  while [ "$1" != -- ]; do layouts+=("$1"); shift; done
  shift
  for from in "${layouts[@]}"; do
    go "$prefix-$from" "$from" "$before" "$@"
    go "$prefix-$from-undisturbed" "$from" $((before + after)) "$@"
    for to in "${layouts[@]}"; do
      cp -a "$work/alba/runs/$prefix-$from" "$work/alba/runs/$prefix-$from-$to"
      go "$prefix-$from-$to" "$to" $((before + after)) "$@"
      restored "$prefix-$from-$to" "$before"
      if [ "$from" = "$to" ] || [ "$exact" = exact ]; then
        alike "$prefix-$from-$to" "$prefix-$from-undisturbed" $((before + after)) 0
        same_roots "$(newest "$prefix-$from-$to")" "$(newest "$prefix-$from-undisturbed")" || fail "$prefix-$from-$to ends in another state"
      else
        alike "$prefix-$from-$to" "$prefix-$from-undisturbed" $((before + after)) 1e-3
      fi
      rm -rf "$work/alba/runs/$prefix-$from-$to"
    done
  done
}

case $mode in
  cycle)
    walk=("${names[@]}" one)
    cycle fp32
    walk=(one rows eight zero)
    cycle fp16 --train.precision=fp16
    other_bits fp16-undisturbed fp32-undisturbed
    scaled fp16 12
    ;;
  all)
    matrix fp32 near "${names[@]}" --
    matrix reproducible exact "${same_bits[@]}" -- --train.reproducible=true
    walk=("${names[@]}" one)
    cycle fp32
    for precision in bf16 fp16; do
      cycle $precision --train.precision=$precision
      other_bits $precision-undisturbed fp32-undisturbed
    done
    scaled fp16 27
    "$(dirname "$0")/layouts_federation_test.sh"
    ;;
  *) echo "restore_matrix_test.sh: '$mode' is neither cycle nor all" >&2; exit 64 ;;
esac
echo "restore matrix ($mode): all passed"
