#!/usr/bin/env bash
# train_vs_llmc.sh: seconds per step of llm.c's CPU trainer and of train_step on GPT-2 124M, in
# alternating pairs on the same machine, and their ratio.
#
#   LLMC=FOLDER TRAIN_STEP=build/bench/train_step [PAIRS=7] [THREADS=2] bench/train_vs_llmc.sh [KEY=VALUE ...]
#
# LLMC: a checkout of llm.c with `make train_gpt2` done, gpt2_124M.bin and a token file in place (random
# weights and tokens do). Its own main() fixes batch 4 and length 64 and speaks of each step as
# "step N: ... (took X ms)"; each run here ends after its step 1. BATCH and LENGTH say what its
# source was built with, if it was changed. KEY=VALUE go to train_step (precision=bf16).
set -euo pipefail
step=${TRAIN_STEP:-build/release/bench/train_step}
pairs=${PAIRS:-7} batch=${BATCH:-4} length=${LENGTH:-64}
export OMP_NUM_THREADS=${THREADS:-2} OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
[ -x "${LLMC:?the folder of llm.c}/train_gpt2" ] || { echo "train_vs_llmc: no program $LLMC/train_gpt2" >&2; exit 64; }
results=$(mktemp)
trap 'rm -f "$results" "$results.llmc"' EXIT

llmc_ms() { # of its second step
  local log=$results.llmc pid
  (cd "$LLMC" && exec stdbuf -oL ./train_gpt2 >"$log" 2>/dev/null) &
  pid=$!
  until grep -q '^step 1: ' "$log" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  sed -n 's/^step 1: .*took \([0-9.]*\) ms.*/\1/p' "$log"
}
ours_ms() {
  "$step" family=gpt2 shape=gpt2 batch="$batch" length="$length" steps=4 "$@" 2>/dev/null | sed -n 's/.*median_ms=\([0-9.]*\).*/\1/p'
}

for pair in $(seq "$pairs"); do
  ours=$(ours_ms "$@")
  theirs=$(llmc_ms)
  [ -n "$ours" ] && [ -n "$theirs" ] || { echo "train_vs_llmc: a run gave no time" >&2; exit 70; }
  echo "pair $pair: ours $ours ms, llm.c $theirs ms" >&2
  echo "$ours $theirs" >>"$results"
done
python3 - "$results" $((batch * length)) <<'PY'
import statistics
import sys

rows = [[float(x) for x in line.split()] for line in open(sys.argv[1])]
tokens = int(sys.argv[2])


def quartiles(values):
    q = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{q[1]:.1f} ({q[0]:.1f} to {q[2]:.1f})"


print(f"{len(rows)} pairs, {tokens} tokens a step")
print("tokens/s ours   ", quartiles([tokens / r[0] * 1e3 for r in rows]))
print("tokens/s llm.c  ", quartiles([tokens / r[1] * 1e3 for r in rows]))
print("ratio of pairs  ", quartiles([r[1] / r[0] for r in rows]))
PY
