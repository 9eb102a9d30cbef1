#!/usr/bin/env bash
# donor_test.sh: the run folder of a site is lost between two rounds, with its checkpoints and all
# that the border had put there. Its border asks for a donor, its job refuses to begin from nothing,
# a site that may not give is refused, and alba, which may, gives. The lost site goes on with the bits
# of the others: one final state, and an audit without faults.
. "$(dirname "$0")/small_federation.sh"
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=4}")
# Generations in the middle of a round must not push out the one that is given.
train_flags[alba]+=" --train.save_every=1"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-donor-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

run=$work/run
make_template "$run"
sed -i '/^\[federation\]/a donate_to = ["cala"]' "$run/alba/site.toml"
sed -i '/^\[federation\]/a donor = "alba"' "$run/cala/site.toml"
begin start_coordinator "$run"
for site in alba brio; do
  begin start_border "$run" "$site"
  begin start_training "$run" "$site"
done
start_border "$run" cala & border=$!
# Its job dies at the end of the inner steps of round 2, and the disk with it.
CONCORDAT_KILL_AT=train.end_of_round:3 start_training "$run" cala 2>>"$work/killed" || true
wait_for 30 "round 1 closed" grep -q 'closed round 1' "$run/hub/log"
kill -TERM $(pgrep -P "$border")
wait "$border" || true
rm -r "$run/cala/runs"

begin start_border "$run" cala
wait_for 30 "a border that names its donor" grep -q "it comes back when alba gives its own" "$run/cala/border.log"
code=0
start_training "$run" cala || code=$?
[ "$code" -eq 75 ] || fail "a job without its state ended with $code"
grep -q 'site.needs_state' "$run/cala/train.log" || fail "the job does not say what is missing"

# By default nobody gives.
code=0
"$concordat" donate "$run/brio/site.toml" --to=cala 2>"$work/refused" || code=$?
[ "$code" -eq 64 ] || fail "brio gave what its configuration does not allow: $code"
grep -q 'federation.donate_to' "$work/refused" || fail "the refusal does not name the key"

"$concordat" donate "$run/alba/site.toml" --to=cala >"$work/asked"
wait_for 60 "the state of alba" grep -q 'the training job can start' "$run/cala/border.log"
begin start_training "$run" cala
all_end_well
echo "all ended with $(final_state "$run")"
grep -q 'that another site gave' "$run/cala/train.log" || fail "cala did not take the state that was given"
[ ! -e "$run/cala/runs/quickstart/import" ] || fail "the state that was given is still there"
grep -q '"kind":"state_blocks"' "$run/alba/ledger/log.jsonl" || fail "alba's ledger does not say what left"
grep -q '"rule":"donated"' "$run/alba/ledger/log.jsonl" || fail "alba's ledger has no decision about it"
grep -q '"kind":"state_blocks"' "$run/cala/ledger/log.jsonl" || fail "cala's ledger does not say what came"
grep -q '"kind":"passed_on"' "$run/hub/ledger/log.jsonl" || fail "the coordinator's ledger does not say what it passed on"
audit_all "$run"

# A coordinator that hides what it passed on is found out.
cp -a "$run/hub" "$work/hub"
sed -i '/"kind":"passed_on"/d' "$work/hub/ledger/log.jsonl"
if "$concordat" audit --roster "$run/roster.json" --agreement "$run/agreement.json" --party "hub=$work/hub" \
  --party "alba=$run/alba" --party "brio=$run/brio" --party "cala=$run/cala" >/dev/null 2>&1; then
  fail "a ledger without what was passed on verified"
fi
echo "donor test: passed"
