#!/usr/bin/env bash
# missing_site_test.sh: four sites, minimum three, a deadline of a second. The fourth has a border and
# no job; its jobs die while they catch up, and what they leave behind of old rounds goes. The
# coordinator is started again without it, now waiting for all. The fourth comes back, catches up from
# the aggregates that the coordinator kept, takes part, and ends with the state of the others.
. "$(dirname "$0")/small_federation.sh"
sites+=(dora)
language[dora]=it tongue[dora]=Italian ranks[dora]=1 layout[dora]=''
train_flags[dora]=${train_flags[alba]}
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=20}")
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-missing-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

run=$work/run
make_template "$run"
sed -i 's/^deadline_s = 0 /deadline_s = 1 /' "$run/hub/coordinator.toml"
start_coordinator "$run" & hub=$!
for site in alba brio cala; do
  begin start_border "$run" "$site"
  begin start_training "$run" "$site"
done
dora=$run/dora/runs/quickstart
begin start_border "$run" dora
dora_border=${pids[-1]}
# Rounds begin when the deadline is over; the others are three ahead when dora's first job comes.
wait_for 60 "round 0 without dora" grep -q 'round 0 begins without dora' "$run/hub/log"
wait_for 60 "round 2 at dora's border" test -e "$dora/inbox/round-2.0.0/CLOSED"
wait_for 20 "a status that names dora" grep -q 'dora (site 3)' "$run/hub/status.json"
# It dies between the first two outer steps that it takes over, the next one when it has taken them.
CONCORDAT_KILL_AT=ranks.caught_up:2 start_training "$run" dora 2>>"$work/killed" || true
CONCORDAT_KILL_AT=train.caught_up:1 start_training "$run" dora 2>>"$work/killed" || true
caught_up=$(grep -c 'went on without this site' "$run/dora/train.log")
[ "$caught_up" -ge 3 ] || fail "dora's first jobs took $caught_up outer steps"
[ -e "$dora/inbox/round-0.0.0" ] || fail "a generation that repeats round 0 may be the newest, and its inbox is gone"
last=$(sed -n 's/.*round \([0-9]*\) went on without this site.*/\1/p' "$run/dora/train.log" | tail -n 1)
newest=$((last + 2))
wait_for 60 "round $newest at dora's border" test -e "$dora/inbox/round-$newest.0.0/CLOSED"
# Asked to stop it takes one more outer step, keeps that, and leaves the rest.
touch "$dora/STOP"
code=0
start_training "$run" dora || code=$?
[ "$code" -eq 75 ] || fail "a job that catches up ended with $code on STOP"
[ "$(grep -c 'went on without this site' "$run/dora/train.log")" -eq $((caught_up + 1)) ] || fail "a job that was asked to stop caught up with more than a round"
grep -q "stopped as asked in round $newest" "$run/dora/train.log" || fail "dora's job did not stop in round $newest"
CONCORDAT_KILL_AT=train.caught_up:1 start_training "$run" dora 2>>"$work/killed" || true
[ ! -e "$dora/inbox/round-0.0.0" ] && [ ! -e "$dora/outbox/round-0.0.0" ] || fail "old exchanges stay although no generation repeats them"
[ -e "$dora/inbox/round-$newest.0.0" ] || fail "what the generation before needs is gone"
# Its border ends, and the coordinator has nothing to say to it twice.
kill -TERM $(pgrep -P "$dora_border")
wait "$dora_border" || true
unset 'pids[-1]' 'names[-1]'
kill -TERM $(pgrep -P "$hub")
code=0
wait "$hub" || code=$?
[ "$code" -eq 75 ] || fail "the coordinator ended with $code on TERM"
sed -i 's/^deadline_s = 1 /deadline_s = 0 /' "$run/hub/coordinator.toml"
begin start_coordinator "$run"
begin start_border "$run" dora
begin start_training "$run" dora
all_end_well
echo "all four ended with $(final_state "$run")"
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
