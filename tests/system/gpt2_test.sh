#!/usr/bin/env bash
# gpt2_test.sh: a site trains a gpt2 alone on one rank and on four, evaluates it, generates from it,
# exports it and starts again from the folder with the exact bits; three sites with three layouts
# train one together, and the audit agrees; keys of the other family are refused by name.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-gpt2-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
refused() { # refused CODE TEXT COMMAND...
  local code=0 wanted=$1 text=$2
  shift 2
  "$@" >"$work/out.txt" 2>&1 || code=$?
  [ "$code" = "$wanted" ] || { cat "$work/out.txt" >&2; fail "exit $code instead of $wanted: $*"; }
  grep -qF -- "$text" "$work/out.txt" || { cat "$work/out.txt" >&2; fail "no '$text' from: $*"; }
}
train() { trained 0 "$work/$2.log" "$1" "$work/site.toml" --run.name="$2" "${@:3}"; } # train RANKS RUN FLAG...
last_loss() { sed -n 's/.*"loss":\([-0-9.e+]*\).*/\1/p' "$work/alba/runs/$1/metrics.jsonl" | tail -n 1; }

make_solo "$work" <<TOML
[run]
inner_steps = 12
[model]
family = "gpt2"
width = 32
layers = 2
heads = 4
ffn = 128
positions = 40
$(quick_training)
TOML
train 1 one
train 4 four --layout.tp=2 --layout.pp=2 --layout.sequence_parallel=true --layout.zero=1 --train.schedule=zb-h1
awk -v a="$(last_loss one)" -v b="$(last_loss four)" 'BEGIN {d = a - b; exit !(a < 5.3 && d < 1e-3 && d > -1e-3)}' ||
  fail "one rank ends at $(last_loss one), four at $(last_loss four)"
train 2 one --run.inner_steps=14 --layout.cp=2 # goes on from the checkpoint of one rank
grep -q "restored step-" "$work/one.log" || fail "another layout did not start from the checkpoint"
"$concordat" eval "$work/site.toml" --run.name=one >"$work/eval.txt"
grep -q "bits per byte" "$work/eval.txt" || fail "eval"
"$concordat" generate "$work/site.toml" --run.name=one --prompt="Satz 1" --bytes=50 >"$work/out.txt"
grep -q "^Satz 1" "$work/out.txt" || fail "generate"
trained 0 "$work/bf16.log" 1 "$work/site.toml" --run.name=bf16 --train.precision=bf16 --train.recompute=block

"$concordat" export "$work/site.toml" --run.name=one --out="$work/whole" --dtype=f32 >/dev/null
"$concordat" export "$work/site.toml" --run.name=one --out="$work/shards" --dtype=f32 --shard-size=30000 >/dev/null
refused 64 "model.positions = 40" "$concordat" export "$work/site.toml" --run.name=one --out="$work/x" --max-length=64
"$concordat" import "$work/whole" --out "$work/model.toml" >"$work/import.txt"
grep -q "model  *gpt2" "$work/import.txt" || fail "import: $(cat "$work/import.txt")"
grep -q "positions = 40" "$work/model.toml" || fail "the [model] section: $(cat "$work/model.toml")"
"$concordat" import "$work/shards" >"$work/out.txt"
grep -qF "$(sed -n 's/^weights *//p' "$work/import.txt")" "$work/out.txt" || fail "shards are other weights than the file"
# A run whose steps are below rounding keeps what it started from: its export is the folder, bit for bit.
for ranks in 1 2; do
  train "$ranks" "again-$ranks" --train.initial_weights="$work/whole" --layout.tp="$ranks" --inner.rate=1e-30 --inner.weight_decay=0
  "$concordat" export "$work/site.toml" --run.name="again-$ranks" --out="$work/again-$ranks" --dtype=f32 >/dev/null
  cmp "$work/whole/model.safetensors" "$work/again-$ranks/model.safetensors" || fail "round trip, $ranks ranks"
  cmp "$work/whole/config.json" "$work/again-$ranks/config.json" || fail "config.json, $ranks ranks"
done
sed -i 's/"attn_pdrop": 0.0/"attn_pdrop": 0.1/' "$work/whole/config.json"
"$concordat" import "$work/whole" >"$work/out.txt"
grep -q "^dropout .*applies none" "$work/out.txt" || fail "a dropout that is not applied was not mentioned"

check() { "$concordat" train --check "$@"; }
refused 64 'model.kv_heads belongs to model.family = "llama" alone' check "$work/site.toml" --model.kv_heads=4
refused 64 'model.rope_base belongs to model.family = "llama" alone' check "$work/site.toml" --model.rope_base=10000
refused 64 'model.positions belongs to model.family = "gpt2" alone' check "$work/site.toml" --model.family=llama
refused 64 "at most model.positions = 40" check "$work/site.toml" --inner.length=41
refused 65 "n_positions" check "$work/site.toml" --train.initial_weights="$work/shards" --model.positions=64
refused 65 "model_type" check configs/federation.toml --train.initial_weights="$work/shards"
refused 64 "a divisor of model.heads = 4" check "$work/site.toml" --layout.tp=3
check configs/gpt2.toml --model.layers=1 --model.width=48 --model.ffn=64 --model.vocab=500 >"$work/out.txt"
grep -q "gpt2, tied head" "$work/out.txt" || fail "configs/gpt2.toml: $(cat "$work/out.txt")"

# A federation: one rank, two tensor ranks with shared rows, two stages that share the table.
sed '/^kv_heads/d; /^rope_base/d; s/^family = .*/family = "gpt2"/; s/^tied = .*/tied = true/' configs/federation.toml >"$work/federation.toml"
tiny=("${tiny[@]/--model.kv_heads=2/--model.positions=48}")
federation_config=$work/federation.toml
make_template "$work/run"
plain="--train.batch=4 --train.micro_batch=2 --train.log_every=1"
ranks=([alba]=1 [brio]=2 [cala]=2)
train_flags[alba]="$plain --layout.tp=1 --layout.pp=1"
train_flags[brio]="$plain --layout.tp=2 --layout.pp=1 --layout.sequence_parallel=true"
train_flags[cala]="$plain --layout.tp=1 --layout.pp=2"
train_together "$work/run"
grep -q '"model.positions"' "$work/run/agreement.json" || fail "the agreement does not fix the positions"
if grep -q '"model.rope_base"' "$work/run/agreement.json"; then fail "the agreement holds a key of another family"; fi
echo "gpt2: passed"
