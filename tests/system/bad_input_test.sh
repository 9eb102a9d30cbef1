#!/usr/bin/env bash
# bad_input_test.sh: the program is given wrong files, keys, values and folders. Each must end with
# the exit code and the error code of the design, and say what, where, found, expected, remedy.
# Where that is allowed it has a mount namespace of its own: what is mounted below goes with it.
if [ "${1:-}" != mounts ] && unshare -m true 2>/dev/null; then exec unshare -m bash "$0" mounts; fi
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-bad-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
passed=0

# expect EXIT_CODE ERROR_CODE WHAT COMMAND...: and the message says where, found, expected and remedy.
expect() {
  local code=$1 name=$2 what=$3 found=0 text field
  shift 3
  text=$("$@" 2>&1) || found=$?
  [ "$found" -eq "$code" ] || fail "$what: exit code $found, expected $code: $text"
  grep -qF "$name" <<<"$text" || fail "$what: expected $name in: $text"
  for field in where found expected remedy; do
    grep -q "$field:" <<<"$text" || fail "$what: the message has no $field: $text"
  done
  said=$text
  passed=$((passed + 1))
}
# says TEXT: the last message has it.
says() { grep -qF -- "$1" <<<"$said" || fail "expected '$1' in: $said"; }
run() { "$concordat" "$@"; }
# flip FILE OFFSET: one bit of it.
flip() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

template=$work/template
make_template "$template"
copy() { fresh_copy "$template" "$work/run"; }
alba=$work/run/alba

# ---- configuration
copy
expect 64 core.usage "an unknown command" run traine
expect 64 core.config_unknown_key "an unknown key" run train --check "$work/run/federation.toml" --model.widht=32
expect 64 core.config_bad_value "a value out of range" run train --check "$work/run/federation.toml" --model.layers=0
expect 64 model.bad_config "heads that do not divide the width" run train --check "$work/run/federation.toml" --model.heads=3
expect 64 core.config_bad_value "a key that the agreement fixes" run border "$alba/site.toml" --run.rounds=7
sed -i 's/^batch = .*/batch = "many"/' "$alba/site.toml"
expect 64 core.config_bad_value "a text where a number belongs" run border "$alba/site.toml"
copy
expect 64 core.config_bad_value "blocks larger than an agreement allows" run train --check "$work/run/federation.toml" --exchange.block_log2=21
expect 64 core.config_bad_value "nobody colludes" run train --check "$work/run/federation.toml" --exchange.colluding=0
expect 64 core.config_bad_value "more rounds than an agreement allows" run train --check "$work/run/federation.toml" --run.rounds=1000001
expect 64 core.config_bad_value "more steps than an agreement allows" run train --check "$work/run/federation.toml" --run.inner_steps=1000001
expect 64 exact.lane_could_wrap "a later lane that could wrap, checked" run train --check "$work/run/federation.toml" --exchange.lane=8
says "where: exchange.bits, exchange.lane"
expect 64 exact.lane_could_wrap "a first lane that could wrap, checked" run train --check "$work/run/federation.toml" --exchange.first_lane=8
says exchange.first_lane
expect 64 exact.lane_could_wrap "a lane that could wrap" run roster agreement --roster "$work/run/roster.json" \
  --config "$work/run/federation.toml" --initial-digest "$(printf '0%.0s' {1..63})1" --out "$work/wrap.json" \
  --exchange.bits=8 --exchange.lane=8

# ---- documents while they are made
members=(--coordinator "$work/run/hub/keys/hub.pub" --site "$alba/keys/alba.pub=DE" --site "$work/run/brio/keys/brio.pub=FR")
expect 64 core.usage "a roster of two sites" run roster create --name few --address h:1 "${members[@]}" --out "$work/few.json"
members+=(--site "$work/run/cala/keys/cala.pub=ES")
expect 64 core.usage "an address without a port" run roster create --name few --address 127.0.0.1 "${members[@]}" --out "$work/few.json"
[ ! -e "$work/few.json" ] || fail "a refused roster was written"
expect 65 core.already_exists "a roster in the place of a signed one" run roster create --name few --address h:1 "${members[@]}" \
  --out "$work/run/roster.json"
"$concordat" roster verify "$work/run/roster.json" >/dev/null || fail "the signed roster is gone"
expect 64 core.usage "a digest that is none" run roster agreement --roster "$work/run/roster.json" \
  --config "$work/run/federation.toml" --initial-digest abc --out "$work/few.json"
expect 64 core.usage "an agreement signed without its roster" run roster sign "$work/run/agreement.json" --keys "$alba/keys"
says "add --roster roster.json"
expect 65 core.not_found "texts for a site without keys" run ingest --site "$work/nobody" --name x --source "$work" --language de --purpose x
"$concordat" train --check "$alba/site.toml" >"$work/check.txt"
grep -q "its initial state is this one" "$work/check.txt" || fail "a site's check knows its agreement: $(cat "$work/check.txt")"

# ---- flags without a schema
for wrong in abc -1 0 1.5 99999999999999999999 ''; do
  expect 64 core.usage "eval --windows=$wrong" run eval "$alba/site.toml" "--windows=$wrong"
done
for wrong in inf nan 1e300 -1 warm; do
  expect 64 core.usage "generate --temperature=$wrong" run generate "$alba/site.toml" "--temperature=$wrong"
  expect 64 core.usage "generate --bytes=$wrong" run generate "$alba/site.toml" "--bytes=$wrong"
  expect 64 core.usage "generate --seed=$wrong" run generate "$alba/site.toml" "--seed=$wrong"
done
expect 64 core.usage "train --check --ranks=0" run train --check "$work/run/federation.toml" --ranks=0

# ---- keys
copy
chmod 644 "$alba/keys/signing.key"
expect 64 crypto.open_permissions "a key file that others may read" run border "$alba/site.toml"
copy
rm -rf "$alba/keys" && cp -a "$work/run/brio/keys" "$alba/keys"
expect 65 federation.not_in_roster "a border with the keys of another site" run border "$alba/site.toml"
expect 65 federation.not_in_roster "training with the keys of another site" launch 1 train "$alba/site.toml"
rm -rf "$alba/keys" && run keys create --name alba --folder "$alba/keys" >/dev/null
expect 65 federation.not_in_roster "a border with keys that are not in the roster" run border "$alba/site.toml"
expect 65 federation.not_in_roster "training with keys that are not in the roster" launch 1 train "$alba/site.toml"
copy
for other in dora hub; do
  sed -i "/^\[site\]/,/^\[fed/s/^name = .*/name = \"$other\"/" "$alba/site.toml"
  expect 65 federation.not_in_roster "a border of $other" run border "$alba/site.toml"
  expect 65 federation.not_in_roster "training of $other" launch 1 train "$alba/site.toml"
done

# ---- documents
copy
sed -i 's/"three-seas"/"four-seas"/' "$work/run/roster.json"
expect 65 federation.bad_signature "a roster edited after signing" run border "$alba/site.toml"
says roster.json
copy
sed -i 's/"inner_steps": *2/"inner_steps":3/' "$work/run/agreement.json"
expect 65 federation.bad_signature "an agreement edited after signing" run coordinate "$work/run/hub/coordinator.toml"
says agreement.json
copy
truncate -s 100 "$work/run/agreement.json.sigs"
expect 65 core.malformed "a cut signature file" run border "$alba/site.toml"

# ---- data
mkdir -p "$work/empty" "$work/latin"
printf 'Gr\374\337e' >"$work/latin/gruss.txt"
ingest=(run ingest --site "$alba" --language de --purpose test)
copy
expect 65 data.empty_corpus "an empty corpus" "${ingest[@]}" --name empty --source "$work/empty"
expect 65 data.not_utf8 "a corpus that is not UTF-8" "${ingest[@]}" --name latin --source "$work/latin"
shard=$(ls "$alba"/data/manuals/train-*.tok)
flip "$shard" $(($(stat -c %s "$shard") / 2))
expect 65 data.shard_damaged "a shard with one flipped bit" launch 1 train "$alba/site.toml" --train.batch=4 --train.micro_batch=2

# ---- checkpoints: of a run alone with generations at steps 2 and 4
copy
{ sed 's/@SITE@/alba/; /^\[run\]/,$d' configs/solo.toml; shared_keys "$work/run"; } >"$alba/solo.toml"
small=(--run.name=alone --run.rounds=1 --run.inner_steps=4 --train.batch=4 --train.micro_batch=2 --train.save_every=2 --train.eval_windows=0)
for flag in "${tiny[@]}"; do case $flag in --run.*) ;; *) small+=("$flag") ;; esac; done
alone() { OMP_NUM_THREADS=1 "$concordat" train "$alba/solo.toml" "${small[@]}" "$@"; }
alone >"$work/alone.log" 2>&1 || fail "a run alone: $(tail -n 3 "$work/alone.log")"
of=$alba/runs/alone newest=$alba/runs/alone/checkpoints/step-000004 older=$alba/runs/alone/checkpoints/step-000002
cp -a "$of" "$work/alone"
again() { rm -rf "$of" && cp -a "$work/alone" "$of"; }
expect 64 checkpoint.mismatch "a checkpoint of another width" alone --model.width=64
says "runs/alone/checkpoints/step-000004:weights/"
expect 64 checkpoint.mismatch "a checkpoint with tensors too many" alone --model.layers=1
expect 64 checkpoint.mismatch "a checkpoint without tensors that are asked for" alone --model.layers=3
says "a tensor is missing"
# As a later version would write it: another name under a digest that is right.
python3 - "$newest/manifest.json" <<'EOF'
import hashlib, json, sys
body = json.load(open(sys.argv[1]))["body"]
body["format"] = "concordat-checkpoint-99"
text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
json.dump({"body": body, "sha256": hashlib.sha256(text.encode()).hexdigest()}, open(sys.argv[1], "w"))
EOF
expect 65 checkpoint.newer_version "a checkpoint of a newer version" alone
says "runs/alone/checkpoints/step-000004/manifest.json"
again && truncate -s 1000 "$newest/state.h5" "$older/state.h5"
expect 65 checkpoint.none_verifies "every checkpoint is cut" alone
says "step-000002: "
says "a site with a federation.donor then gets that one's state"
again && chmod 750 "$of"
expect 64 site.open_run_folder "a run folder that others may read" alone

# ---- file systems that are full or read-only
if [ "${1:-}" = mounts ]; then
  mkdir "$work/small" && mount -t tmpfs -o size=64k tmpfs "$work/small"
  make_texts "$work/large" large
  cp -a "$alba/keys" "$work/small/keys"
  expect 65 core.disk_full "a full disk" run ingest --site "$work/small" --language de --purpose test --name big --source "$work/large"

  # goes_on: the generation before is whole, and with more room (a mount option) the run ends like one alone.
  goes_on() {
    local found
    found=$("$concordat" checkpoint verify "$of")
    grep -q '^a restart takes step-000002$' <<<"$found" || fail "after $what: $found"
    mount -o "remount,$1" "$of"
    alone >"$work/on.log" 2>&1 && grep -q 'restored step-000002' "$work/on.log" || fail "it did not go on after $what: $(cat "$work/on.log")"
    "$concordat" checkpoint diff --tensors "$newest" "$work/alone/checkpoints/step-000004" >"$work/diff" || fail "other bits after $what: $(cat "$work/diff")"
  }
  again && rm -r "$of"/* && mount -t tmpfs -o mode=700,size=2300k tmpfs "$of"
  what="a run folder without room for a second generation"
  expect 65 core.disk_full "$what" alone
  says "a checkpoint does not fit"
  says "runs/alone/checkpoints; found: "
  [ ! -e "$newest" ] || fail "it was saved all the same"
  goes_on size=64m
  # Room for bytes, and none for a second file: found out in the middle of writing.
  rm -r "$of"/* && cp -a "$work/alone/." "$of/" && rm -r "$newest"
  mount -o "remount,nr_inodes=$(($(df --output=iused "$of" | tail -n 1) + 1))" "$of"
  what="a run folder that fills up while a generation is written"
  expect 65 core.disk_full "$what" alone
  says "No space left on device"
  goes_on nr_inodes=1000
  rm -r "$newest" && mount -o remount,ro "$of"
  what="a run folder on a read-only file system"
  expect 65 core.io_failed "$what" alone
  says "runs/alone/"
  says "how it is mounted"
  goes_on rw
  umount "$of" "$work/small"
else
  echo "skipped, no right to mount: file systems that are full or read-only"
fi

# ---- a run folder in use
copy
mkdir -p "$alba/runs/quickstart" && chmod 700 "$alba/runs" "$alba/runs/quickstart"
exec 9>"$alba/runs/quickstart/train.lock" && flock -n 9
expect 64 core.in_use "a run folder in use" launch 1 train "$alba/site.toml" --train.batch=4 --train.micro_batch=2
# Ranks that share a processor are told so, whatever comes of the job.
on_one_processor() { taskset -pc 0 "$BASHPID" >/dev/null && launch 2 train "$alba/site.toml" --train.batch=4 --train.micro_batch=2; }
expect 64 core.in_use "two ranks on one processor" on_one_processor
says "ranks 0, 1 share processors 0"
exec 9>&-
echo "bad input: $passed passed"
