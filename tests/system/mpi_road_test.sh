#!/usr/bin/env bash
# mpi_road_test.sh: coordinator, three borders and four ranks of three sites in one mpirun. The final
# state is that of the same federation over tls, also after a process was killed and the same command
# was started again, and after USR1; a roster without leave and a missing party are refused.
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-mpiroad-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
tiny=("${tiny[@]/--run.rounds=2/--run.rounds=3}")
ranks=([alba]=1 [brio]=2 [cala]=1)
for site in "${sites[@]}"; do train_flags[$site]+=" --layout.tp=1"; done

# one_mpirun RUN [WITHOUT]: all parties, but for one that is to be missing. kill_role and kill_at say
# which of the coordinator and brio's processes kills itself, and where; only brio's are disturbed.
kill_role= kill_at=
one_mpirun() {
  local run=$1 without=${2:-} session code=0 site parts=()
  session=$(session_folder)
  # program ROLE PARTY ARGUMENT...: with the point at which it is to die, if it is.
  program() {
    [ "$1" != "$kill_role" ] || [ "$2" = alba ] || [ "$2" = cala ] || parts+=(env CONCORDAT_KILL_AT="$kill_at:1")
    parts+=("$concordat" "$1" "${@:3}" --road=mpi)
  }
  parts=(-n 1)
  program coordinate hub "$run/hub/coordinator.toml"
  for site in "${sites[@]}"; do
    if [ "$without" != "border of $site" ]; then
      parts+=(: -n 1)
      program border "$site" "$run/$site/site.toml"
    fi
    parts+=(: -n "${ranks[$site]}")
    # shellcheck disable=SC2086  # the flags are words
    program train "$site" "$run/$site/site.toml" ${train_flags[$site]}
  done
  OMP_NUM_THREADS=1 mpirun --mca orte_tmpdir_base "$session" --mca mpi_yield_when_idle 1 --bind-to none \
    --oversubscribe "${parts[@]}" >>"$run/log" 2>&1 &
  echo $! >"$run/mpirun.pid"
  wait $! || code=$?
  rm -rf "$session"
  return "$code"
}
# state_of RUN: the final state in the one log; fails unless all three sites proved the same.
state_of() {
  local states
  states=$(sed -n 's/.*the run is complete.*state //p' "$1/log" | sort | uniq -c)
  [ "$(wc -l <<<"$states")" -eq 1 ] && [ "$(awk '{print $1}' <<<"$states")" -eq 3 ] || fail "the sites' final states differ: $states: $(tail -n 20 "$1/log")"
  awk '{print $2}' <<<"$states"
}

make_template "$work/plain"
# The same keys, data and terms under a roster that allows the road.
cp -a "$work/plain" "$work/template"
run=$work/template
rm "$run"/roster.json* "$run"/agreement.json*
members=()
for site in "${sites[@]}"; do members+=(--site "$run/$site/keys/$site.pub=${language[$site]^^}"); done
"$concordat" roster create --name three-seas --address "$(cat "$run/port")" --coordinator "$run/hub/keys/hub.pub" \
  "${members[@]}" --allow-mpi-road --out "$run/roster.json" >/dev/null
for site in hub "${sites[@]}"; do "$concordat" roster sign "$run/roster.json" --keys "$run/$site/keys" >/dev/null; done
"$concordat" roster agreement --roster "$run/roster.json" --config "$run/federation.toml" \
  --initial-digest "$(sed -n 's/^initial state *//p' "$run/check.txt")" --out "$run/agreement.json" "${tiny[@]}" >/dev/null
for site in hub "${sites[@]}"; do
  "$concordat" roster sign "$run/agreement.json" --roster "$run/roster.json" --keys "$run/$site/keys" >/dev/null
done

echo "refusals"
code=0
one_mpirun "$work/plain" || code=$?
[ "$code" -eq 77 ] || fail "a roster without leave: exit code $code: $(tail -n 5 "$work/plain/log")"
grep -q 'roster create --allow-mpi-road' "$work/plain/log" || fail "the refusal names no remedy: $(tail -n 5 "$work/plain/log")"
fresh_copy "$work/template" "$work/missing"
code=0
one_mpirun "$work/missing" "border of cala" || code=$?
[ "$code" -eq 64 ] || fail "a border is missing: exit code $code: $(tail -n 5 "$work/missing/log")"
grep -q 'also: border of cala' "$work/missing/log" || fail "who is missing is not said: $(tail -n 5 "$work/missing/log")"
code=0
"$concordat" border "$work/missing/alba/site.toml" --road=mpi 2>"$work/missing/alone" || code=$?
[ "$code" -eq 64 ] && grep -q 'also: coordinator hub' "$work/missing/alone" || fail "a border alone: $code: $(cat "$work/missing/alone")"

echo "over tls"
fresh_copy "$work/template" "$work/tls"
run_federation "$work/tls" >/dev/null
expected=$(final_state "$work/tls")

echo "in one mpirun"
fresh_copy "$work/template" "$work/mpi"
one_mpirun "$work/mpi" || fail "exit code $?: $(tail -n 20 "$work/mpi/log")"
found=$(state_of "$work/mpi")
[ "$found" = "$expected" ] || fail "the state is $found, over tls $expected"
audit_all "$work/mpi"
[ "$(grep -c 'nothing isolates the sites' "$work/mpi/log")" -eq 1 ] || fail "the road does not say once what it lacks"

victims=()
if kill_points; then victims=(train:ranks.committed border:border.aggregate_stored coordinate:coordinator.after_sum); fi
[ "${#victims[@]}" -gt 0 ] || echo "skipped: no kill points in this build"
for victim in "${victims[@]}"; do
  echo "killed at $victim and started again"
  fresh_copy "$work/template" "$work/killed"
  kill_role=${victim%:*} kill_at=${victim#*:}
  code=0
  one_mpirun "$work/killed" || code=$?
  kill_role=
  [ "$code" -eq 137 ] || fail "$victim: exit code $code: $(tail -n 20 "$work/killed/log")"
  ! grep -q 'the run is complete' "$work/killed/log" || fail "the run ended before it was killed"
  one_mpirun "$work/killed" || fail "after $victim: exit code $?: $(tail -n 20 "$work/killed/log")"
  found=$(state_of "$work/killed")
  [ "$found" = "$expected" ] || fail "after $victim the state is $found, undisturbed $expected"
  audit_all "$work/killed"
done

echo "stopped by USR1 and started again"
# USR1 comes when all processes are there: the ranks of alba take their lock after that, and every
# process listens before it. A run that was over before USR1 came is done again.
code=0
for _ in $(seq 20); do
  fresh_copy "$work/template" "$work/stopped"
  (until [ -e "$work/stopped/alba/runs/quickstart/train.lock" ]; do sleep 0.05; done
    exec kill -USR1 "$(cat "$work/stopped/mpirun.pid")" 2>/dev/null) &
  code=0
  one_mpirun "$work/stopped" || code=$?
  [ "$code" -eq 0 ] || break
  echo "the run was over before USR1 came"
done
[ "$code" -eq 75 ] || fail "after USR1: exit code $code: $(tail -n 20 "$work/stopped/log")"
one_mpirun "$work/stopped" || fail "after the stop: exit code $?: $(tail -n 20 "$work/stopped/log")"
found=$(state_of "$work/stopped")
[ "$found" = "$expected" ] || fail "after a stop the state is $found, undisturbed $expected"
echo "mpi road: passed"
