#!/usr/bin/env bash
# missing_site_test.sh: four sites, minimum three, a deadline of a second. The fourth has neither job
# nor border for the first two rounds, and the coordinator is started again meanwhile, now waiting for
# all. The fourth comes, catches up from the aggregates that the coordinator kept, takes part, and
# ends with the state of the others.
. "$(dirname "$0")/small_federation.sh"
sites+=(dora)
language[dora]=it tongue[dora]=Italian ranks[dora]=1 layout[dora]=''
train_flags[dora]=${train_flags[alba]}
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=5}")
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-missing-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

wait_for() { # wait_for SECONDS WHAT COMMAND...
  local left=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { tail -n 5 "$run"/hub/log "$run"/*/border.log "$run"/*/train.log >&2; fail "waited in vain: $what"; }
    sleep 0.1
  done
}

run=$work/run
make_template "$run"
sed -i 's/^deadline_s = 0 /deadline_s = 1 /' "$run/hub/coordinator.toml"
pids=() names=()
begin() { "$@" & pids+=($!); names+=("$*"); }
start_coordinator "$run" & hub=$!
for site in alba brio cala; do
  begin start_border "$run" "$site"
  begin start_training "$run" "$site"
done
# Round 0 begins when the deadline is over; the others are two rounds ahead when dora comes.
wait_for 60 "round 0 without dora" grep -q 'round 0 begins without dora' "$run/hub/log"
wait_for 60 "round 1 without dora" grep -q 'round 1 begins without dora' "$run/hub/log"
wait_for 20 "a status that names dora" grep -q 'dora (site 3)' "$run/hub/status.json"
kill -TERM $(pgrep -P "$hub")
code=0
wait "$hub" || code=$?
[ "$code" -eq 75 ] || fail "the coordinator ended with $code on TERM"
sed -i 's/^deadline_s = 1 /deadline_s = 0 /' "$run/hub/coordinator.toml"
begin start_coordinator "$run"
begin start_border "$run" dora
# Its first job dies between the first two outer steps that it takes over.
CONCORDAT_KILL_AT=ranks.caught_up:2 start_training "$run" dora 2>>"$work/killed" || true
begin start_training "$run" dora
for i in "${!pids[@]}"; do
  wait "${pids[i]}" || { tail -n 5 "$run"/hub/log "$run"/*/border.log "$run"/*/train.log >&2; fail "${names[i]} ended with an error"; }
done
echo "all four ended with $(final_state "$run")"
[ "$(grep -c 'went on without this site' "$run/dora/train.log")" -ge 2 ] || fail "dora missed fewer than two rounds"
grep -q '"kind":"upload"' "$run/dora/ledger/log.jsonl" || fail "dora never took part"
"$concordat" audit --roster "$run/roster.json" --agreement "$run/agreement.json" --party "hub=$run/hub" \
  --party "alba=$run/alba" --party "brio=$run/brio" --party "cala=$run/cala" --party "dora=$run/dora" >"$run/audit.txt" || {
  cat "$run/audit.txt" >&2
  fail "the audit found faults"
}
grep -q 'exchange 0.0.0 went without dora' "$run/audit.txt" || fail "the audit does not say who was missing"

# The same ledgers, with a line of dora's record cut out, must not verify.
sed -i '/"kind":"closed","key":".*closed\/in\/0.0.0/d' "$run/dora/ledger/log.jsonl"
if "$concordat" audit --roster "$run/roster.json" --agreement "$run/agreement.json" --party "dora=$run/dora" >/dev/null 2>&1; then
  fail "a ledger without the record of a missed round verified"
fi
echo "missing site test: passed"
