#!/bin/bash
# Tokens/s of train_step and of PyTorch, in alternating pairs on the same machine, and their ratio.
#
#   TRAIN_STEP=build/bench/train_step PYTHON=python3 PAIRS=7 bench/train_vs_torch.sh shape=gpt2 steps=4
#
# family=gpt2 for GPT-2 124M itself instead of a llama of its shape. PYTHON: an interpreter with
# PyTorch 2. THREADS: of each side (default 2). MODES: "eager compile" or one of them; a run of ours
# is paired with one of each. OURS, PEER: more keys for one side, such as OURS=precision=bf16. All
# arguments go to both sides. Prints each run, then medians and quartiles, and the load while it
# ran. RESULTS: a file that keeps the runs; the next call adds to it, and the medians are those of
# all its runs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
step=${TRAIN_STEP:-$here/../build/release/bench/train_step}
python=${PYTHON:-python3}
pairs=${PAIRS:-7}
modes=${MODES:-eager compile}
export OMP_NUM_THREADS=${THREADS:-2} OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
results=${RESULTS:-}
if [ -z "$results" ]; then
  results=$(mktemp)
  trap 'rm -f "$results"' EXIT
fi

value() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" | tail -1; }

for pair in $(seq "$pairs"); do
  # shellcheck disable=SC2086  # OURS and PEER are lists of keys
  ours=$("$step" "$@" ${OURS:-} | tail -1)
  for mode in $modes; do
    compile=$([ "$mode" = compile ] && echo 1 || echo 0)
    # shellcheck disable=SC2086
    peer=$("$python" "$here/peer_torch.py" "$@" "compile=$compile" ${PEER:-} | tail -1)
    line="$mode $pair $(value tokens_per_s <<<"$ours") $(value tokens_per_s <<<"$peer")"
    line="$line $(value peak_mb <<<"$ours") $(value peak_mb <<<"$peer") $(cut -d' ' -f1 /proc/loadavg)"
    line="$line $(value tokens_per_cpu_s <<<"$ours") $(value tokens_per_cpu_s <<<"$peer")"
    echo "$line" | tee -a "$results"
  done
done

"$python" - "$results" <<'PY'
import statistics, sys

rows = [line.split() for line in open(sys.argv[1])]

def quartiles(values):
    values = sorted(values)
    if len(values) == 1:
        return f"{values[0]:.2f}"
    q = statistics.quantiles(values, n=4, method="inclusive")
    return f"{q[1]:.2f} ({q[0]:.2f} to {q[2]:.2f})"

for mode in dict.fromkeys(row[0] for row in rows):
    runs = [[float(x) for x in row[2:]] for row in rows if row[0] == mode]
    print(f"{mode}: {len(runs)} pairs, load {quartiles([r[4] for r in runs])}")
    print(f"  tokens/s ours    {quartiles([r[0] for r in runs])}")
    print(f"  tokens/s PyTorch {quartiles([r[1] for r in runs])}")
    print(f"  ratio of pairs   {quartiles([r[0] / r[1] for r in runs])}")
    print(f"  tokens per second of processor time, ours {quartiles([r[5] for r in runs])}, "
          f"PyTorch {quartiles([r[6] for r in runs])}, ratio {quartiles([r[5] / r[6] for r in runs])}")
    print(f"  peak memory, ours over PyTorch {quartiles([r[2] / r[3] for r in runs])}")
PY
