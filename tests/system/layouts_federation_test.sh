#!/usr/bin/env bash
# layouts_federation_test.sh: three sites with three layouts share one model: context parallel
# replicas under ZeRO-1, tensor ranks with sequence parallel that share a key-value head, and one
# rank. All prove the same state, stop in the middle, change their layouts and end in the same state.
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-fedlay-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=4}")
tiny=("${tiny[@]/--model.kv_heads=2/--model.kv_heads=1}")
template=$work/template
make_template "$template"
plain="--train.batch=4 --train.micro_batch=2 --train.log_every=1 --layout.pp=1"
one="--layout.tp=1"  # whatever the template's layouts are

fresh_copy "$template" "$work/run"
ranks=([alba]=4 [brio]=2 [cala]=1)
train_flags[alba]="$plain $one --layout.cp=2 --layout.zero=1"
train_flags[brio]="$plain --layout.tp=2 --layout.sequence_parallel=true"
train_flags[cala]="$plain $one"
run_federation "$work/run" >/dev/null
first=$(final_state "$work/run")
audit_all "$work/run"
grep -q 'cp=2.*zero=1' "$work/run"/alba/runs/quickstart/checkpoints/*/manifest.json || fail "alba's layout is not in its checkpoint"

# The same again, but alba and brio are stopped after their first round and come back otherwise.
fresh_copy "$template" "$work/moved"
run=$work/moved
start_coordinator "$run" & pids=($!)
for site in alba brio cala; do start_border "$run" "$site" & pids+=($!); done
start_training "$run" cala & pids+=($!)
declare -A stopped=()
for site in alba brio; do
  start_training "$run" "$site" & stopped[$site]=$!
  (until compgen -G "$run/$site/runs/quickstart/checkpoints/step-*" >/dev/null; do sleep 0.1; done
    touch "$run/$site/runs/quickstart/STOP") &
done
for site in alba brio; do
  code=0
  wait "${stopped[$site]}" || code=$?
  [ "$code" -eq 75 ] || fail "$site after STOP: exit code $code: $(tail -n 3 "$run/$site/train.log")"
  rm -f "$run/$site/runs/quickstart/STOP"
done
ranks=([alba]=2 [brio]=6 [cala]=1)
train_flags[alba]="$plain --layout.tp=2 --layout.zero=1"
train_flags[brio]="$plain $one --layout.cp=2 --layout.zero=1"
for site in alba brio; do start_training "$run" "$site" & pids+=($!); done
wait_all "${pids[@]}" || fail "a process failed after the change: $(tail -n 3 "$run"/*/*log "$run"/hub/log)"
second=$(final_state "$run")
audit_all "$run"
[ -n "$first" ] && [ -n "$second" ] || fail "no final state"
echo "layouts of a federation: passed"
