#!/usr/bin/env bash
# import_federation_test.sh: three sites start from their own copies of a Hugging Face folder (a
# file, shards, over one rank or two) and end with one state; a site that starts from other weights,
# or from none, is refused before it takes part.
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-import-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT

run=$work/run
make_template "$run"

# The folder: a model that one party trained alone and exported.
"$concordat" keys create --name maker --folder "$work/maker/keys" >/dev/null
"$concordat" ingest --site "$work/maker" --name texts --source "$run/corpora/de" --language de \
  --purpose "a starting point" --validation-permille 100 >/dev/null
printf '[site]\nname = "maker"\nfolder = "maker"\n[data]\ndatasets = ["texts"]\n[run]\nname = "first"\n' >"$work/maker.toml"
launch 1 train "$work/maker.toml" "${tiny[@]}" >"$work/maker.log" 2>&1 || fail "the maker: $(cat "$work/maker.log")"
"$concordat" export "$work/maker.toml" "${tiny[@]}" --out="$work/file" --dtype=f32 >/dev/null
"$concordat" export "$work/maker.toml" "${tiny[@]}" --out="$work/shards" --dtype=f32 --shard-size=30000 >/dev/null
"$concordat" export "$work/maker.toml" "${tiny[@]}" --out="$work/rounded" --dtype=bf16 >/dev/null

# An agreement that starts from it.
rm -f "$run"/agreement.json*
digest=$("$concordat" train --check "$run/federation.toml" "${tiny[@]}" "--train.initial_weights=$work/file" |
  sed -n 's/^initial state *//p')
"$concordat" roster agreement --roster "$run/roster.json" --config "$run/federation.toml" \
  --initial-digest "$digest" --out "$run/agreement.json" "${tiny[@]}" >/dev/null
for site in hub "${sites[@]}"; do
  "$concordat" roster sign "$run/agreement.json" --roster "$run/roster.json" --keys "$run/$site/keys" >/dev/null
done

# refused FLAG CODE: alba alone, without anybody else running.
# shellcheck disable=SC2086  # the flags are words
refused() {
  local code=0
  launch 1 train "$run/alba/site.toml" ${train_flags[alba]} $1 >"$work/refused.txt" 2>&1 || code=$?
  [ "$code" -eq 65 ] || fail "a site with '$1' ended with $code: $(cat "$work/refused.txt")"
  grep -qF "$2" "$work/refused.txt" || fail "expected $2 in: $(cat "$work/refused.txt")"
}
refused "" site.state_differs
refused "--train.initial_weights=$work/rounded" site.state_differs
refused "--train.initial_weights=$work/nowhere" core.not_found

train_flags[alba]+=" --train.initial_weights=$work/file"
train_flags[brio]+=" --train.initial_weights=$work/shards"
train_flags[cala]+=" --train.initial_weights=$work/shards"
train_together "$run"

# Restarts read the checkpoint: the folders may be gone.
rm -r "$work/file" "$work/shards"
launch 1 train "$run/alba/site.toml" ${train_flags[alba]} >"$work/again.txt" 2>&1 || fail "a restart without the folder: $(cat "$work/again.txt")"
echo "import_federation: passed"
