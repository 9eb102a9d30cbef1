#!/usr/bin/env bash
# fast_tier_test.sh: a solo job of two ranks with a fast tier is killed when a generation is on the
# nodes' disk and not yet in the run folder; the next start goes on from the disk, one after it from the
# run folder, and both end with the weights of a job without either.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-fast-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
kill_points || { echo "skipped: no kill points in this build"; exit 0; }

make_solo "$work" <<TOML
[run]
rounds = 1
inner_steps = 12
[train]
batch = 4
micro_batch = 2
save_every = 3
$(small_model)
[inner]
length = 32
warmup_steps = 2
TOML
site=$work/site.toml fast=--checkpoint.fast=$work/disk
run_of() { echo "$work/alba/runs/$1"; }

trained 0 "$work/plain.log" 2 "$site" --run.name=plain
grep -q 'saved step-000012: .* snapshot .* written in' "$work/plain.log" || fail "no line about the last save"

# What an mpirun leaves whose shell is killed too goes with this test's folder.
session=$(session_folder)
[ "$(dirname "$session")" = "$work" ] && rmdir "$session" || fail "sessions of mpirun are made outside: $session"

# The second generation is on the disk when its turn in the run folder comes.
export CONCORDAT_KILL_AT=checkpoint.before_publish:2
! launch 2 train "$site" --run.name=fast "$fast" >"$work/killed.log" 2>&1 || fail "nothing was killed"
unset CONCORDAT_KILL_AT
[ -d "$work/disk/alba/fast/step-000006" ] || fail "step 6 is not on the disk"
[ ! -e "$(run_of fast)/checkpoints/step-000006" ] || fail "step 6 is in the run folder"
cp -r "$work/alba/runs/fast" "$work/copy"

trained 0 "$work/again.log" 2 "$site" --run.name=fast "$fast"
grep -q 'restored step-000006 from the fast tier' "$work/again.log" || fail "it did not go on from the disk: $(cat "$work/again.log")"
same_roots "$(newest fast)" "$(newest plain)" || fail "another result after the disk"
"$concordat" checkpoint verify "$(run_of fast)" >/dev/null || fail "the run folder does not verify"

# On other nodes the disk is not there: the run folder's newest does it.
rm -rf "$work/alba/runs/fast" "$work/disk" && mv "$work/copy" "$work/alba/runs/fast"
trained 0 "$work/moved.log" 2 "$site" --run.name=fast "$fast"
grep -q 'step-000006 in the fast tier was passed over' "$work/moved.log" || fail "the lost disk is not mentioned"
grep -q 'restored step-000003: ' "$work/moved.log" || fail "it did not go on from the run folder"
same_roots "$(newest fast)" "$(newest plain)" || fail "another result after the run folder"
echo "fast tier: passed"
