#!/usr/bin/env bash
# What a user learns of checkpoints on a login node: listed, verified, compared and exported from
# files alone; damage is a row and a reason, and what is no run is refused with what to give instead.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-checkpoint-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

make_solo "$work" <<TOML
[run]
name = "first"
inner_steps = 4
[model]
vocab = 257
width = 32
layers = 2
heads = 4
kv_heads = 2
ffn = 48
[inner]
length = 32
[train]
batch = 4
micro_batch = 2
save_every = 2
TOML
trained 0 "$work/train.log" 1 "$work/site.toml"
run=$work/alba/runs/first
old=$run/checkpoints/step-000002 new=$run/checkpoints/step-000004

# ---- status of the run, and of the site that it is in
says 0 '^run first +finished$' status "$run/"
for text in 'progress +step 4 of 4, rounds done: 1 of 1, loss [0-9.]+' 'rate +[0-9.]+[k]? tokens/s while it trains' \
  'checkpoint +step-000004, saved ' 'ranks +not running as seen from this host; last: host [^ ]+, pid [0-9]+$'; do
  grep -Eq "$text" "$work/out" || fail "no '$text' in: $(cat "$work/out")"
done
says 0 '^run first +finished$' status "$work/alba"
says 65 'core.not_found: this is no folder of a site, a run or a coordinator' status "$work/text"

# ---- list
says 0 '^generation +step +round +size +layout +precision +saved \(UTC\)' checkpoint list "$run"
[ "$(sed -n 's/^\(step-[0-9]*\) .*/\1/p' "$work/out" | tr '\n' ' ')" = "step-000004 step-000002 " ] || fail "order: $(cat "$work/out")"
grep -Eq "^step-000004 +4 +1 .* f32 +$(date -u +%Y)-.* LATEST$" "$work/out" || fail "the newest row: $(cat "$work/out")"
says 0 '^step-000002 +2 +0 ' checkpoint list "$old/"
"$concordat" checkpoint list "$run/checkpoints" --json >"$work/list.json"
python3 - "$work/list.json" <<'PY' || fail "the list as JSON: $(cat "$work/list.json")"
import json, sys
page = json.load(open(sys.argv[1]))
first, second = page["generations"]
assert (first["name"], first["latest"], second["latest"]) == ("step-000004", True, False)
assert (first["step"], first["standing"], first["problem"]) == (4, "generation", "")
assert first["metadata"]["data.cursor"] == "16" and first["datasets"] > 20 and first["bytes"] > 100000
PY

# ---- verify
says 0 '^a restart takes step-000004$' checkpoint verify "$run"
[ "$(grep -Ec '^step-00000[24] ok: [0-9]+ datasets, [0-9.]+ KiB$' "$work/out")" -eq 2 ] || fail "verify: $(cat "$work/out")"
says 0 'there are newer ones' checkpoint verify "$old"

# ---- diff
says 0 '^equal: [0-9]+ datasets' checkpoint diff "$new" "$new"
says 1 '^step: 2 \| 4$' checkpoint diff "$old" "$new"
grep -q '^data.cursor: 8 | 16$' "$work/out" || fail "no cursor: $(cat "$work/out")"
grep -Eq '^weights/[^ ]*: [0-9]+ of [0-9]+ elements differ, by at most [0-9.e-]+ \(relative [0-9.e-]+\), first \[[0-9,]+\]: [-0-9.e]+, [-0-9.e]+$' "$work/out" ||
  fail "no weights: $(cat "$work/out")"
says 0 '^equal' checkpoint diff --tensors "$old" "$new" --tolerance=1e9
says 1 '^they differ' checkpoint diff "$old" "$new" --tolerance=1e9
trained 0 "$work/train.log" 1 "$work/site.toml" --run.name=second --inner.rate=0.002
says 1 '^inner.rate: 0.001 \| 0.002$' checkpoint diff "$new" "$work/alba/runs/second/checkpoints/step-000004"

# ---- a job with another seed, or another place in the data, goes on and says what follows
trained 0 "$work/on.log" 1 "$work/site.toml" --run.name=second --inner.rate=0.002 --run.inner_steps=5
! grep -q 'changed from' "$work/on.log" || fail "a change is announced where nothing changed: $(cat "$work/on.log")"
trained 0 "$work/on.log" 1 "$work/site.toml" --run.name=second --run.inner_steps=6 --run.seed=7
grep -q "the rng.seed changed from '1' to '7': the run goes on, but its data come in another order" "$work/on.log" || fail "the seed: $(cat "$work/on.log")"
[ "$(grep -c 'changed from' "$work/on.log")" -eq 1 ] || fail "more than the seed changed: $(cat "$work/on.log")"
trained 0 "$work/on.log" 1 "$work/site.toml" --run.name=second --run.inner_steps=7 --run.seed=7 --train.batch=2
grep -q "the data.cursor changed from '24' to '12': the run goes on, but at another place in its data" "$work/on.log" || fail "the place: $(cat "$work/on.log")"
[ "$(grep -c 'changed from' "$work/on.log")" -eq 1 ] || fail "more than the place changed: $(cat "$work/on.log")"

# ---- export: this generation, from what its manifest says
says 0 '^written .* tensors, ' checkpoint export "$old" --out="$work/old" --dtype=f32
says 0 'step-000004$' checkpoint export "$new" --out="$work/new" --dtype=f32
"$concordat" export "$work/site.toml" --out="$work/newest" --dtype=f32 >/dev/null
cmp "$work/new/model.safetensors" "$work/newest/model.safetensors" || fail "the newest generation, twice"
cmp "$work/new/config.json" "$work/newest/config.json" || fail "its config.json, twice"
! cmp -s "$work/old/model.safetensors" "$work/new/model.safetensors" || fail "two generations, one model"
says 0 '^weights' import "$work/old"
cp -a "$old" "$work/copy"
says 0 'copy$' checkpoint export "$work/copy" --out="$work/copied" --dtype=f32 --site="$work/site.toml"
cmp "$work/old/model.safetensors" "$work/copied/model.safetensors" || fail "a copied generation"
says 65 'there already' checkpoint export "$old" --out="$work/old"

# ---- a generation that a newer version wrote: nothing older is taken in its place
mv "$run/checkpoints" "$work/ours"
cp -a "$work/ours" "$run/checkpoints"
python3 - "$new/manifest.json" <<'PY'
import hashlib, json, sys
page = json.load(open(sys.argv[1]))
page["body"]["format"] = "concordat-checkpoint-2"
body = json.dumps(page["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
page["sha256"] = hashlib.sha256(body.encode()).hexdigest()
json.dump(page, open(sys.argv[1], "w"))
PY
says 0 '^step-000004 .*a restart refuses: a checkpoint was written by a newer version' checkpoint list "$run"
! grep -q DAMAGED "$work/out" || fail "it is not damaged: $(cat "$work/out")"
says 0 '"newer": true' checkpoint list "$run" --json
says 65 '^step-000004 NEWER: .*concordat-checkpoint-2' checkpoint verify "$run"
grep -q '^step-000002 ok: ' "$work/out" || fail "the older one: $(cat "$work/out")"
grep -q '^a restart refuses: step-000004 was written by a newer version' "$work/out" || fail "what a restart does: $(cat "$work/out")"
! grep -q 'a restart takes' "$work/out" || fail "it takes one: $(cat "$work/out")"
says 65 '^a restart refuses: step-000004' checkpoint verify "$new"
says 65 'checkpoint.newer_version' checkpoint export "$new" --out="$work/from-newer"
says 65 'checkpoint.newer_version' export "$work/site.toml" --out="$work/from-newer"
[ ! -e "$work/from-newer" ] || fail "an older generation was exported in its place"
trained 65 "$work/newer.log" 1 "$work/site.toml" --run.inner_steps=6
grep -q 'checkpoint.newer_version' "$work/newer.log" || fail "the restart: $(cat "$work/newer.log")"
rm -r "$run/checkpoints"
mv "$work/ours" "$run/checkpoints"

# ---- what only the fast tier has is named
echo "step-000006 $(printf 'x' | sha256sum | cut -d' ' -f1)" >"$run/checkpoints/FAST"
says 0 '^step-000006 not read: FAST names it' checkpoint verify "$run"
says 0 '^step-000006 not read: FAST names it' checkpoint verify "$new"
rm "$run/checkpoints/FAST"

# ---- damage: a byte, a short file, a manifest
cp -a "$run/checkpoints" "$work/whole"
printf 'x' | dd of="$new/state.h5" bs=1 seek=60000 conv=notrunc status=none
says 65 '^step-000004 DAMAGED: dataset [^ ]+ hashes to' checkpoint verify "$run"
grep -q '^step-000002 ok: ' "$work/out" || fail "the older one: $(cat "$work/out")"
grep -q '^a restart takes step-000002$' "$work/out" || fail "which a restart takes: $(cat "$work/out")"
says 65 'does not verify' checkpoint export "$new" --out="$work/damaged"
[ ! -e "$work/damaged" ] || fail "a damaged generation was exported"
says 1 '1 of [0-9]+ elements differ' checkpoint diff "$new" "$work/whole/step-000004"
truncate -s 50000 "$new/state.h5"
says 0 'DAMAGED: state.h5 has 50000 bytes instead of' checkpoint list "$run"
says 65 'DAMAGED: .*wrong length' checkpoint verify "$run"
sed -i 's/"step": 2/"step": 3/' "$old/manifest.json"
says 0 '^step-000002 +- .*DAMAGED: the manifest was altered' checkpoint list "$run"
says 65 '^no generation verifies: a restart refuses' checkpoint verify "$run"
says 65 'the manifest was altered' checkpoint diff "$old" "$work/whole/step-000002"

# ---- what is no run
says 65 "core.not_found: this is a site's folder.*give $work/alba/runs/first or" checkpoint list "$work/alba"
says 65 'core.not_found: the folder is not there' checkpoint verify "$run/nothing"
says 65 'core.not_found: this is a file' checkpoint list "$work/site.toml"
says 65 'core.not_found: no checkpoints lie here' checkpoint verify "$work/text"
says 64 'core.usage: one generation is wanted.*for example' checkpoint diff "$run" "$new"
says 64 'core.usage: a flag is missing' checkpoint export "$old"
says 64 'core.usage: unknown action' checkpoint burn "$run"
says 64 'core.usage: bad value for --tolerance' checkpoint diff "$old" "$new" --tolerance=-1
rm -r "$run/checkpoints"/*
says 0 '^no generation in ' checkpoint list "$run"
says 0 '^no generation: a restart begins at step 0' checkpoint verify "$run"
echo "checkpoint: $passed passed"
