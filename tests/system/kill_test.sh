#!/usr/bin/env bash
# kill_test.sh [COUNT|all [SEED]]: runs of a federation, each with one process killed by SIGKILL (at
# a named point of the protocol, or every fourth at a random moment), started again with the same
# command; `all` is a hundred kills, every named point once and the rest at random moments. The final
# state digest must be that of the undisturbed run and every ledger must verify.
. "$(dirname "$0")/small_federation.sh"
count=${1:-8}
seed=${2:-1}
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-kill-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
kill_points || { echo "skipped: no kill points in this build"; exit 0; }

border_points=(start_journaled keys_saved aggregate_journaled aggregate_stored blocks_fetched closed_written
  commit_journaled commit_recorded finish_journaled frame_key_saved frames_flushed handed_answered handed_written over_journaled secrets_erased secrets_written)
coordinator_points=(after_begin after_close after_crossings after_decisions after_entry after_erase after_event
  after_flush after_frame_key after_header_file after_own_event after_receipt after_sealed after_sum before_flush mid_sum)
rank_points=(ranks.announced ranks.secrets ranks.blocks_written ranks.before_commit ranks.committed ranks.closed
  ranks.aggregate_verified ranks.applied train.step train.snapshot checkpoint.extent_written checkpoint.before_publish train.entry_handed train.saved train.end_of_round train.closed)
points=()
for point in "${border_points[@]}"; do points+=("border border.$point"); done
for point in "${coordinator_points[@]}"; do points+=("coordinator coordinator.$point"); done
for point in "${rank_points[@]}"; do points+=("training $point"); done

# A role that may be killed: started again as long as it died by SIGKILL (137, or 1 from mpirun).
persist() { # persist ROLE KILL_AT FUNCTION ARGUMENT...
  local role=$1 at=$2 code tries=0
  shift 2
  CONCORDAT_KILL_AT=$at "$@" && return 0 || code=$?
  while [ "$code" -ne 0 ]; do
    tries=$((tries + 1))
    # Any other end is an error of its own, which starting again would only hide.
    { [ "$code" -eq 137 ] || [ "$code" -eq 1 ]; } && [ "$tries" -le 5 ] || return "$code"
    echo "$role ended with $code, starting it again" >>"$work/restarts"
    [ "$code" -eq 137 ] || tail -n 3 "$2"/*/train.log >>"$work/restarts"
    "$@" && return 0 || code=$?
  done
}

exec 3>&2
run_disturbed() { # run_disturbed FOLDER ROLE KILL_AT DELAY
  local folder=$1 role=$2 at=$3 delay=$4 pids=() site victim=
  local at_hub= at_border= at_train=
  case $role in coordinator) at_hub=$at ;; border) at_border=$at ;; training) at_train=$at ;; esac
  persist coordinator "$at_hub" start_coordinator "$folder" & pids+=($!)
  for site in "${sites[@]}"; do
    # brio has two ranks, and is the one that is disturbed.
    persist "border $site" "$([ "$site" = brio ] && echo "$at_border")" start_border "$folder" "$site" & pids+=($!)
    persist "training $site" "$([ "$site" = brio ] && echo "$at_train")" start_training "$folder" "$site" & pids+=($!)
  done
  if [ -n "$delay" ]; then
    sleep "$delay"
    case $role in
      coordinator) pkill -KILL -f "concordat coordinate $folder/" || true ;;
      border) pkill -KILL -f "concordat border $folder/brio/" || true ;;
      training) pkill -KILL -f "^[^ ]*concordat train $folder/brio/" || true ;;
    esac
  fi
  wait_all "${pids[@]}" || { tail -n 3 "$folder"/hub/log "$folder"/*/border.log "$folder"/*/train.log >&2; fail "a process of $folder did not come back ($role $at $delay)"; }
}

template=$work/template
make_template "$template"
fresh_copy "$template" "$work/undisturbed"
run_federation "$work/undisturbed" >/dev/null
expected=$(final_state "$work/undisturbed")
audit_all "$work/undisturbed"
echo "undisturbed: $expected"

RANDOM=$seed
every=4
if [ "$count" = all ]; then
  count=100
  every=$((count + 1))
fi
for i in $(seq 1 "$count"); do
  folder=$work/run-$i
  fresh_copy "$template" "$folder"
  : >"$work/restarts"
  if [ $((i % every)) -eq 0 ] || { [ "$every" -gt "$count" ] && [ "$i" -gt "${#points[@]}" ]; }; then
    roles=(coordinator border training)
    role=${roles[RANDOM % 3]} at= delay=$((RANDOM % 4)).$((RANDOM % 10))
    what="$role at a random moment (${delay}s)"
  else
    # Walk the list with a stride that is coprime to its length, from a seeded start.
    index=$(((seed * 11 + i * 17) % ${#points[@]}))
    read -r role at <<<"${points[index]}"
    at+=":1" delay=
    what="$at"
  fi
  run_disturbed "$folder" "$role" "$at" "$delay" 2>>"$work/killed" || { cat "$work/killed" >&3; exit 1; }
  found=$(final_state "$folder")
  [ "$found" = "$expected" ] || fail "run $i, killed $what: the final state is $found, undisturbed $expected"
  audit_all "$folder"
  restarts=$(wc -l <"$work/restarts")
  [ -n "$delay" ] || [ "$restarts" -gt 0 ] || fail "run $i: $what was never reached"
  [ "$restarts" -le 1 ] || sed 's/^/  /' "$work/restarts"
  echo "run $i: killed $what, $restarts restarts, same final state, ledgers verify"
  rm -rf "$folder"
done
echo "kill test: $count passed"
