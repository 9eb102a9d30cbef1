#!/usr/bin/env bash
# donor_test.sh: four sites, minimum three; aggregates are kept for one round. dora is away after round
# 0, with its disk, for longer than that. cala's newer generations turn out to be damaged, and its job
# ends instead of waiting for a round that is forgotten; then its run folder is lost, with its
# checkpoints and all that the border had put there. Both borders ask for a donor, their jobs refuse to
# begin, a site that may not give is refused, and alba, which may, gives to one after the other. Both go
# on with the bits of the others: one final state, and an audit without faults that names what dora
# goes without.
. "$(dirname "$0")/small_federation.sh"
sites+=(dora)
language[dora]=it tongue[dora]=Italian ranks[dora]=1 layout[dora]=''
train_flags[dora]=${train_flags[alba]}
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=6}")
# Generations in the middle of a round must not push out the one that is given.
train_flags[alba]+=" --train.save_every=1"
train_flags[cala]+=" --checkpoint.keep=9"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-donor-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

run=$work/run
make_template "$run"
sed -i 's/^deadline_s = .*/deadline_s = 1/; s/^keep_rounds = .*/keep_rounds = 1/' "$run/hub/coordinator.toml"
sed -i '/^\[federation\]/a donate_to = ["cala", "dora"]' "$run/alba/site.toml"
sed -i '/^\[federation\]/a donor = "alba"' "$run/cala/site.toml"
audit() { # audit HUB
  "$concordat" audit --roster "$run/roster.json" --agreement "$run/agreement.json" --party "hub=$1" \
    --party "alba=$run/alba" --party "brio=$run/brio" --party "cala=$run/cala" --party "dora=$run/dora"
}
begin start_coordinator "$run"
for site in alba brio; do
  begin start_border "$run" "$site"
  begin start_training "$run" "$site"
done
start_border "$run" cala & border=$!
start_border "$run" dora & dora=$!
# dora's job dies when round 0 is closed, cala's at the end of the inner steps of round 4, and the disk
# with it: the others wait for what it said it was ready for.
CONCORDAT_KILL_AT=train.end_of_round:5 start_training "$run" cala 2>>"$work/killed" & training=$!
CONCORDAT_KILL_AT=train.closed:1 start_training "$run" dora 2>>"$work/killed" & killed=$!
wait_for 60 "round 0 closed at dora" grep -q 'round 0: closed, summed' "$run/dora/border.log"
kill -TERM $(pgrep -P "$dora")
wait "$dora" || true
wait "$killed" || true
wait "$training" || true
wait_for 30 "round 3 closed" grep -q 'closed round 3' "$run/hub/log"

# All but cala's first generation are damaged, which its job alone finds out: it announces a round that
# is over and forgotten, hears of it while it waits, and ends.
mapfile -t generations < <(ls -d "$run/cala/runs/quickstart/checkpoints"/step-* | sort -V)
[ "${#generations[@]}" -eq 5 ] || fail "cala has ${generations[*]}"
for generation in "${generations[@]:1}"; do printf x | dd of="$generation/state.h5" bs=1 seek=60000 conv=notrunc status=none; done
code=0
start_training "$run" cala || code=$?
[ "$code" -eq 75 ] || fail "a job that fell back behind what is here ended with $code"
grep -q 'generation step-000010 was passed over' "$run/cala/train.log" || fail "what is damaged is not named"
grep -q 'site.needs_state.*the state of round 0 here' "$run/cala/train.log" || fail "the job that waited does not say for what"
kill -TERM $(pgrep -P "$border")
wait "$border" || true
rm -r "$run/cala/runs"

# Without a donor a site that is too far behind is told what it needs.
code=0
start_border "$run" dora || code=$?
[ "$code" -eq 65 ] || fail "a border that is too far behind ended with $code"
grep 'site.too_far_behind' "$run/dora/border.log" | grep -q 'federation.donor' || fail "the border does not say how dora comes back"
sed -i '/^\[federation\]/a donor = "alba"' "$run/dora/site.toml"
sed -i "s|^bring_back = .*|bring_back = \"touch $work/dora-comes\"|" "$run/dora/site.toml"
for site in cala dora; do
  begin start_border "$run" "$site"
  wait_for 30 "a border of $site that names its donor" grep -q "it comes back when alba gives its own" "$run/$site/border.log"
  code=0
  start_training "$run" "$site" || code=$?
  [ "$code" -eq 75 ] || fail "a job of $site without its state ended with $code"
  grep -q 'site.needs_state' "$run/$site/train.log" || fail "the job of $site does not say what is missing"
done
[ -e "$run/dora/runs/quickstart/WAITING" ] && [ ! -e "$run/cala/runs/quickstart/WAITING" ] || fail "which job is to be brought back"
wait_for 30 "what is left of dora's rounds" test -e "$run/dora/runs/quickstart/inbox/round-3.0.0/CLOSED"
# Rounds 1 and 2, unless its border was slow to end.
mapfile -t gone < <(grep -o '"[0-9a-f]*/forgone/[0-9]*' "$run/dora/ledger/log.jsonl" | grep -o '[0-9]*$')
[ "${#gone[@]}" -ge 1 ] || fail "dora's ledger does not say what it goes without"
for round in "${gone[@]}"; do
  [ ! -e "$run/dora/runs/quickstart/inbox/round-$round.0.0/CLOSED" ] || fail "the aggregate of round $round is said to be gone and is there"
done

# By default nobody gives.
code=0
"$concordat" donate "$run/brio/site.toml" --to=cala 2>"$work/refused" || code=$?
[ "$code" -eq 64 ] || fail "brio gave what its configuration does not allow: $code"
grep -q 'federation.donate_to' "$work/refused" || fail "the refusal does not name the key"

for site in dora cala; do
  "$concordat" donate "$run/alba/site.toml" --to="$site" >"$work/asked"
  wait_for 60 "the state of alba" grep -q 'the training job can start' "$run/$site/border.log"
  # A job that ended for want of it is brought back. One that holds a newer state is not kept from it.
  [ "$site" = cala ] || wait_for 30 "the border to bring dora's job back" test -e "$work/dora-comes"
  [ "$site" = dora ] || printf 'alba\n2.0.0\n' >"$run/cala/runs/quickstart/NEEDS_STATE"
  begin start_training "$run" "$site"
done
all_end_well
echo "all ended with $(final_state "$run")"
for site in cala dora; do
  grep -q 'that another site gave' "$run/$site/train.log" || fail "$site did not take the state that was given"
  [ ! -e "$run/$site/runs/quickstart/import" ] || fail "the state that was given to $site is still there"
  grep -q '"kind":"state_blocks"' "$run/$site/ledger/log.jsonl" || fail "the ledger of $site does not say what came"
done
grep -q '"kind":"state_blocks"' "$run/alba/ledger/log.jsonl" || fail "alba's ledger does not say what left"
grep -q '"rule":"donated"' "$run/alba/ledger/log.jsonl" || fail "alba's ledger has no decision about it"
grep -q '"kind":"passed_on"' "$run/hub/ledger/log.jsonl" || fail "the coordinator's ledger does not say what it passed on"
for party in hub dora; do
  [ "$(grep -c '"kind":"forgone"' "$run/$party/ledger/log.jsonl")" -eq "${#gone[@]}" ] || fail "$party's ledger does not say what dora goes without"
done
echo "bytes of the coordinator's journals by round: $(stat -c %s "$run"/hub/journal/*.journal | tr '\n' ' ')"
audit "$run/hub" >"$run/audit.txt" || { cat "$run/audit.txt" >&2; fail "the audit found faults"; }
grep -q "dora goes on without the aggregates of exchanges* ${gone[0]}.0.0.*: it has the state of exchange 3.0.0 from alba" "$run/audit.txt" || fail "the audit does not name what dora goes without"

# A coordinator that hides what it passed on, or what it let go of, is found out.
for kind in passed_on forgone; do
  rm -rf "$work/hub"
  cp -a "$run/hub" "$work/hub"
  sed -i "/\"kind\":\"$kind\"/d" "$work/hub/ledger/log.jsonl"
  if audit "$work/hub" >/dev/null 2>&1; then fail "a ledger without its entries '$kind' verified"; fi
done
echo "donor test: passed"
