#!/usr/bin/env bash
# loss_after_200.sh [RUN ...]: the loss after 200 steps in every layout, from the same weights and data.
#
#   CONCORDAT_BUILD=build/dev PYTHON=venv/bin/python bench/loss_after_200.sh
#
# Trains a small llama and a gpt2 (width 128, 4 layers; the text is this repository's own) with
# `concordat train`, one run after the other, in layouts of up to eight ranks that share this
# machine's processors, and in PyTorch 2 (PYTHON=INTERPRETER; left out where it has no torch).
# Prints for each run the loss of step 200, the mean of steps 191 to 200, and the largest difference
# from the reference in any step. Fails unless all layouts in fp32 stay within 1e-3 of one rank and
# those in bf16 within 1 % of PyTorch's bf16 (of one rank's fp32 where there is none): in step 200
# and in the mean. RUN: names from the table to run alone, such as tp2; one rank of each family always runs.
# STEPS, BATCH, SEED, RATE: 200, 8, 1, 1e-3. About seven minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/setup.sh
. scripts/lib/federation.sh
steps=${STEPS:-200} batch=${BATCH:-8} seed=${SEED:-1} rate=${RATE:-1e-3} python=${PYTHON:-python3}
only=" $* "
[ -n "${CONCORDAT_BUILD:-}" ] || concordat_setup program
build_program
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-loss-XXXXXX")
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/text"
git ls-files '*.md' '*.hpp' '*.cpp' | while read -r file; do cp "$file" "$work/text/${file//\//-}.txt"; done
"$concordat" keys create --name alba --folder "$work/alba/keys" >/dev/null
"$concordat" ingest --site "$work/alba" --name texts --source "$work/text" --language en \
  --purpose "comparison of layouts" --validation-permille 100 | sed 's/^/        /'
cat >"$work/site.toml" <<TOML
[site]
name = "alba"
folder = "alba"
[data]
datasets = ["texts"]
[train]
batch = $batch
micro_batch = $batch
log_every = 50
[run]
seed = $seed
rounds = 1
inner_steps = $steps
[model]
width = 128
layers = 4
heads = 4
ffn = 384
[inner]
rate = $rate
floor_ratio = 0.1
warmup_steps = 20
length = 128
TOML

# run NAME RANKS FLAG...: leaves "step loss" lines in NAME.losses.
run() {
  local name=$1 ranks=$2 begin=$SECONDS
  shift 2
  [ "$name" = fp32 ] || [ "$name" = gpt2 ] || [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
  launch "$ranks" train "$work/site.toml" --run.name="$name" "$@" >"$work/$name.log" 2>&1 || {
    cat "$work/$name.log" >&2
    echo "loss_after_200: $name failed" >&2
    exit 70
  }
  sed -n 's/.*"event":"step".*"step":\([0-9]*\),.*"loss":\([-0-9.e+]*\).*/\1 \2/p' \
    "$work/alba/runs/$name/metrics.jsonl" >"$work/$name.losses"
  echo "$name $ranks" >>"$work/runs"
  say "$name: $((SECONDS - begin)) s"
}
peer() { # peer NAME PRECISION
  "$python" bench/loss_after_200_torch.py "$work/text" "$seed" "$steps" "$batch" "$rate" "$2" >"$work/$1.losses"
  echo "$1 1" >>"$work/runs"
  say "$1: PyTorch $("$python" -c 'import torch; print(torch.__version__)'), $2"
}

run fp32 1
if "$python" -c 'import torch' 2>/dev/null; then
  peer torch-fp32 fp32
  peer torch-bf16 bf16
else
  echo "loss_after_200: $python has no torch; bf16 is compared with our fp32" >&2
fi
run gpt2 1 --model.family=gpt2
run gpt2-tp2-sp 2 --model.family=gpt2 --layout.tp=2 --layout.sequence_parallel=true
run gpt2-pp2-dp2 4 --model.family=gpt2 --layout.pp=2 --train.micro_batch=2 --train.schedule=zb-h1
run micro 1 --train.micro_batch=3
run dp2 2
run dp3 3
run dp2-zero 2 --layout.zero=1
run tp2 2 --layout.tp=2
run tp2-sp 2 --layout.tp=2 --layout.sequence_parallel=true
run tp4 4 --layout.tp=4
run cp2 2 --layout.cp=2
run pp2-gpipe 2 --layout.pp=2 --train.micro_batch=2 --train.schedule=gpipe
run pp2-1f1b 2 --layout.pp=2 --train.micro_batch=2
run pp2-zb-h1 2 --layout.pp=2 --train.micro_batch=2 --train.schedule=zb-h1
run pp2-interleaved 2 --layout.pp=2 --train.micro_batch=2 --train.schedule=interleaved --train.chunks=2
run pp3 3 --layout.pp=3 --train.micro_batch=2 --train.schedule=zb-h1
run tp2-pp2-dp2 8 --layout.tp=2 --layout.pp=2 --train.micro_batch=1
run tp2-cp2-dp2-zero 8 --layout.tp=2 --layout.cp=2 --layout.zero=1 --layout.sequence_parallel=true
run recompute 1 --train.recompute=block
run bf16 1 --train.precision=bf16
run bf16-tp2-sp 2 --train.precision=bf16 --layout.tp=2 --layout.sequence_parallel=true
run bf16-pp2 2 --train.precision=bf16 --layout.pp=2 --train.micro_batch=2
run bf16-dp2-zero 2 --train.precision=bf16 --layout.zero=1
run fp16 1 --train.precision=fp16

awk -v steps="$steps" -v folder="$work" '
  function read(name,   file, fields, line) {
    file = folder "/" name ".losses"
    while ((getline line < file) > 0) { split(line, fields, " "); loss[name, fields[1]] = fields[2] }
    close(file)
    for (s = 0; s < steps; ++s) if (!((name, s) in loss)) { print name " has no step " s > "/dev/stderr"; exit 70 }
    last[name] = loss[name, steps - 1]
    mean[name] = 0
    for (s = steps - 10; s < steps; ++s) mean[name] += loss[name, s] / 10
  }
  function size(x) { return x < 0 ? -x : x }
  { order[++n] = $1; ranks[$1] = $2; read($1) }
  END {
    printf "\n%-18s %5s  %-11s %10s %10s %12s %12s %12s\n", "run", "ranks", "against", "step " steps, "mean of 10", "difference", "of the mean", "any step"
    for (i = 1; i <= n; ++i) {
      name = order[i]
      low = name ~ /^(bf16|fp16)/
      other = low && ("torch-bf16" in last) ? "torch-bf16" : name ~ /^gpt2/ ? "gpt2" : "fp32"
      worst = 0
      for (s = 0; s < steps; ++s) { d = size(loss[name, s] - loss[other, s]); if (d > worst) worst = d }
      d = size(last[name] - last[other]); m = size(mean[name] - mean[other])
      bound = low ? 0.01 * last[other] : 1e-3
      mark = name ~ /^torch/ ? "" : (d <= bound && m <= bound ? "" : "  beyond the bound")
      if (mark != "") failed = 1
      printf "%-18s %5d  %-11s %10.5f %10.5f %12.2g %12.2g %12.2g%s\n", name, ranks[name], other, last[name], mean[name], d, m, worst, mark
    }
    exit failed
  }' "$work/runs"
