#!/usr/bin/env bash
# spool_test.sh: alba's spool is carried by rsync, brio's lies where both ends see it, cala dials. The
# mover comes late, copies without taking away, carries rubbish and half files; alba's border is told
# to stop while it waits, and killed, and so is the coordinator. The run ends in the state of a run in
# which everybody dialled.
. "$(dirname "$0")/small_federation.sh"
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=3}")
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-spool-XXXXXX")
trap 'status=$?; touch "$work/over"; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

make_template "$work/template"
fresh_copy "$work/template" "$work/dialled"
train_together "$work/dialled"
expected=$(final_state "$work/dialled")

run=$work/run
fresh_copy "$work/template" "$run"
sed -i 's|^spool = .*|spool = "spool"|' "$run/hub/coordinator.toml"
sed -i 's|^road = .*|road = "spool"|' "$run/alba/site.toml"
sed -i 's|^road = .*|road = "spool"\nspool = "../hub/spool/brio"|' "$run/brio/site.toml"
here=$run/alba/spool there=$run/hub/spool/alba

carry() { # carry [OPTION]: both ways, once
  local way from to
  for way in up down; do
    from=$here to=$there
    [ "$way" = up ] || from=$there to=$here
    rsync -a "$@" --include='*.spool' --exclude='*' "$from/$way/" "$to/$way/" 2>>"$run/mover.log" || true
  done
}
asked() { compgen -G "$here/up/request-*.spool"; }
mover() { until [ -e "$work/over" ]; do carry --remove-source-files; sleep 0.1; done; }

start_coordinator "$run" & hub=$!
start_border "$run" alba & border=$!
for site in brio cala; do begin start_border "$run" "$site"; done
for site in "${sites[@]}"; do begin start_training "$run" "$site"; done

# Nobody carries anything: alba's border waits, says for what, and hears its stop request.
wait_for 60 "alba's ready in its spool" asked
wait_for 60 "the others at the coordinator" grep -q '"waiting_for": "alba (site 0)"' "$run/hub/status.json"
touch "$run/alba/STOP"
code=0
wait "$border" || code=$?
[ "$code" -eq 75 ] || fail "a border that waits for its mover ended with $code on STOP"
rm -f "$run/alba/STOP"
start_border "$run" alba & border=$!

# A mover that copies and takes nothing away, and a file of which it has half.
wait_for 60 "alba's ready again" asked
file=$(basename "$(asked | head -n 1)")
head -c 100 "$here/up/$file" >"$there/up/.half" && mv "$there/up/.half" "$there/up/$file"
head -c 5000 /dev/urandom >"$there/up/request-0123456789abcdef-00000000.spool"
carry; carry
wait_for 60 "a complaint about rubbish" grep -q 'spool of alba: .*no spool file' "$run/hub/log"
mover & carrier=$!

# Killed in the middle of an exchange, both ends.
wait_for 60 "alba's cosignature" grep -q 'round 0: cosign delivered' "$run/alba/border.log"
kill -KILL $(pgrep -P "$border"); wait "$border" 2>/dev/null || true
kill -KILL $(pgrep -P "$hub"); wait "$hub" 2>/dev/null || true
begin start_coordinator "$run"
begin start_border "$run" alba
all_end_well
touch "$work/over"
wait "$carrier"

[ "$(final_state "$run")" = "$expected" ] || fail "the state over spools is $(final_state "$run"), over tls $expected"
audit_all "$run"
# What waits for an answer has crossed once, however often the road is asked for the answer.
[ "$(grep -c 'ready delivered' "$run/alba/border.log")" -eq 4 ] || fail "alba's readies: $(grep 'ready delivered' "$run/alba/border.log")"
echo "over spools, with a late mover, rubbish and three ends: $expected"
