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
[model]
width = 32
layers = 4
heads = 4
kv_heads = 2
ffn = 64
tied = true
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
losses() {
  sed -n 's/.*"step":\([0-9]*\),.*"loss":\([-0-9.e+]*\).*/\1 \2/p' "$work/alba/runs/$1/metrics.jsonl" |
    awk '{loss[$1] = $2} END {for (s in loss) print s, loss[s]}' | sort -n
}
# alike RUN UNDISTURBED STEPS MOST: every step's loss, by at most that part of it; prints the largest.
alike() {
  join <(losses "$2" | sort) <(losses "$1" | sort) | awk -v run="$1" -v steps="$3" -v most="$4" '
    {d = ($3 - $2) / $2; if (d < 0) d = -d; if (d > worst) worst = d; n++; if ($2 != $3) other++}
    END {printf "%s: %d steps, largest difference %.2g\n", run, n, worst
         exit !(n == steps && (most > 0 ? worst <= most : other == 0))}' || fail "$1 trains otherwise than $2"
}
# roots RUN: of the tensors of its newest generation.
roots() {
  local newest
  newest=$(ls -d "$work/alba/runs/$1/checkpoints"/step-* | sort -V | tail -n 1)
  tr ',' '\n' <"$newest/manifest.json" | grep -E '"(name|root)"' | tr -d '{}[] '
}

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
        [ "$(roots "$prefix-$from-$to")" = "$(roots "$prefix-$from-undisturbed")" ] || fail "$prefix-$from-$to ends in another state"
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
    ;;
  all)
    matrix fp32 near "${names[@]}" --
    matrix reproducible exact "${same_bits[@]}" -- --train.reproducible=true
    walk=("${names[@]}" one)
    cycle bf16 --train.precision=bf16
    cycle fp16 --train.precision=fp16
    "$(dirname "$0")/layouts_federation_test.sh"
    ;;
  *) echo "restore_matrix_test.sh: '$mode' is neither cycle nor all" >&2; exit 64 ;;
esac
echo "restore matrix ($mode): all passed"
