#!/usr/bin/env bash
# A site trains, exports a Hugging Face folder, and another run starts from it: with the exact bits
# in f32, from shards as from one file, over two ranks as over one; what does not fit is refused.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-interop-XXXXXX")
trap 'rm -rf "$work"' EXIT
refused() { # refused CODE TEXT COMMAND...
  local code=0 wanted=$1 text=$2
  shift 2
  "$@" >"$work/out.txt" 2>&1 || code=$?
  [ "$code" = "$wanted" ] || { cat "$work/out.txt" >&2; fail "exit $code instead of $wanted: $*"; }
  grep -qF -- "$text" "$work/out.txt" || { cat "$work/out.txt" >&2; fail "no '$text' from: $*"; }
}
train() { trained 0 "$work/train.log" "$@"; } # train RANKS ARGUMENT...
train_refused() { "$concordat" train "$@"; }
initial() { "$concordat" train --check "$@" | sed -n 's/^initial state *//p'; }

make_solo "$work" <<TOML
[run]
name = "first"
inner_steps = 3
[model]
vocab = 257
width = 32
layers = 2
heads = 4
kv_heads = 2
ffn = 48
rope_base = 500000.0
[inner]
length = 32
[train]
batch = 4
micro_batch = 2
TOML
train 1 "$work/site.toml"

"$concordat" export "$work/site.toml" --out="$work/whole" --dtype=f32 --max-length=64
"$concordat" export "$work/site.toml" --out="$work/shards" --dtype=f32 --max-length=64 --shard-size=20000
"$concordat" export "$work/site.toml" --out="$work/half" >"$work/out.txt"
grep -q "1 file" "$work/out.txt" || fail "bf16 export"
[ -f "$work/shards/model.safetensors.index.json" ] || fail "no index"
refused 65 "there already" "$concordat" export "$work/site.toml" --out="$work/whole"
[ ! -e "$work/whole.new" ] || fail "remains of an export"

"$concordat" import "$work/whole" --out "$work/model.toml" | tee "$work/import.txt"
"$concordat" import "$work/shards" >"$work/out.txt"
grep -qF "$(sed -n 's/^weights *//p' "$work/import.txt")" "$work/out.txt" || fail "shards are other weights than the file"
grep -q "rope_base = 500000.0" "$work/model.toml" || fail "the [model] section"

from="--train.initial_weights=$work/whole"
one=$(initial "$work/site.toml" "$from")
[ -n "$one" ] || fail "no digest"
[ "$one" = "$(initial "$work/site.toml" "--train.initial_weights=$work/shards")" ] || fail "digest of shards"
[ "$one" != "$(initial "$work/site.toml")" ] || fail "the digest does not follow the weights"
[ "$one" != "$(initial "$work/site.toml" "--train.initial_weights=$work/half")" ] || fail "digest of bf16"

# A run whose steps are below rounding keeps what it started from: its export is the folder, bit for bit.
for ranks in 1 2; do
  train "$ranks" "$work/site.toml" "$from" --run.name="again-$ranks" --layout.tp="$ranks" \
    --inner.rate=1e-30 --inner.weight_decay=0
  "$concordat" export "$work/site.toml" --out="$work/again-$ranks" --model="$work/alba/runs/again-$ranks" \
    --dtype=f32 --max-length=64 >/dev/null
  cmp "$work/whole/model.safetensors" "$work/again-$ranks/model.safetensors" || fail "round trip, $ranks ranks"
  cmp "$work/whole/config.json" "$work/again-$ranks/config.json" || fail "config.json, $ranks ranks"
done

# Token files and tokenizers of others: ingested, trained on, evaluated; what does not fit is refused.
golden=$top/tests/golden/tokenizers
id() { sed -n 's/.*tokenizer = "\([^"]*\)".*/\1/p'; }
bpe=$("$concordat" ingest --site "$work/alba" --name words --source "$work/text" --language de \
  --purpose test --validation-permille 100 --tokenizer "$golden/gpt2.json" | id)
words=("$work/site.toml" --run.name=words --data.datasets=words --inner.length=16)
refused 65 "another tokenizer than the run" train_refused "${words[@]}"
words+=("--model.tokenizer=$bpe")
refused 65 "do not fit the model" train_refused "${words[@]}"
words+=(--model.vocab=432)
train 1 "${words[@]}" --train.eval_windows=4
"$concordat" eval "${words[@]}" >"$work/eval.txt"
grep -q "perplexity" "$work/eval.txt" || fail "eval of words"
grep -q "bits per byte" "$work/eval.txt" || fail "bits per byte of words are known"
"$concordat" generate "${words[@]}" --prompt="Satz 1 " --bytes=5 >"$work/out.txt"
grep -q "^Satz 1 " "$work/out.txt" || fail "generate"
refused 65 "not the one that the model was trained with" "$concordat" generate "${words[@]}" --tokenizer=bytes --prompt=x
python3 - "$work/ids.bin" <<'PY'
import struct, sys
ids = []
for document in range(80):
    ids += [256] + [(document * 7 + i * i) % 256 for i in range(30 + document % 11)]
with open(sys.argv[1], "wb") as out:
    out.write(struct.pack("<256i", 20240520, 1, len(ids), *[0] * 253))
    out.write(struct.pack(f"<{len(ids)}H", *ids))
PY
given=$("$concordat" ingest --site "$work/alba" --name ids --source "$work/ids.bin" --language none --purpose test \
  --validation-permille 100 --format llmc --vocabulary 257 --separator 256 | id)
ids=("$work/site.toml" --run.name=ids "--model.tokenizer=$given")
train 1 "${ids[@]}" --data.datasets=ids
"$concordat" eval "${ids[@]}" --data.datasets=ids >"$work/eval.txt"
grep -q "ids .* nats per token, perplexity .*; bytes of the text are not known" "$work/eval.txt" || fail "eval of ids"
[ "$("$concordat" eval "${ids[@]}" --data.datasets=ids --plain)" = "ids unknown" ] || fail "plain eval of ids"
refused 65 "tokenizer is not known" "$concordat" generate "${ids[@]}" --data.datasets=ids --prompt=x
refused 65 "another tokenizer" train_refused "${ids[@]}" --data.datasets=ids --data.datasets=texts
refused 64 "do not go together" "$concordat" ingest --site "$work/alba" --name x --source "$work/ids.bin" \
  --language none --purpose test --format llmc --tokenizer "$golden/gpt2.json"
truncate -s -1 "$work/ids.bin"
refused 65 "does not fit" "$concordat" ingest --site "$work/alba" --name x --source "$work/ids.bin" \
  --language none --purpose test --format llmc

refused 65 "intermediate_size" "$concordat" train --check "$work/site.toml" "$from" --model.ffn=64
refused 65 "max_position_embeddings" "$concordat" train --check "$work/site.toml" "$from" --inner.length=128
refused 65 "no Hugging Face folder" "$concordat" import "$work/text"
sed -i 's/"mlp_bias": false/"mlp_bias": true/' "$work/whole/config.json"
refused 65 "mlp_bias" "$concordat" import "$work/whole"
rm "$work"/shards/model-00002-of-*.safetensors
refused 65 "a shard is missing" "$concordat" import "$work/shards"
truncate -s -4 "$work/half/model.safetensors"
refused 65 "outside the file" "$concordat" import "$work/half"
echo "passed"
