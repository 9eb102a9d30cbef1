#!/usr/bin/env bash
# checkpoint_rates.sh: saving and restoring against fio with the same size, request size and fsync,
# and against PyTorch's distributed checkpoint and h5py with the same state, in turn; medians.
#
#   CHECKPOINT_BENCH=build/bench/bench/checkpoint_bench PYTHON=python3 ROUNDS=5 bench/checkpoint_rates.sh
#
# FOLDER: on the file system to measure (default: bench-checkpoints here); it needs 12 times the state.
# LAYERS: of GPT-2 (12: a state of 1.49 GB). PYTHON: with PyTorch 2, numpy and h5py. WHAT: a part of
# "ours1 ours2 fio1 fio2 torch h5py". RESULTS: a file that keeps the runs; the next call adds to it.
# Two ranks share the processors, as in a job: each has half of the threads.
# Before each write the disk is idle (sync); before each read the files have left the page cache. Nobody else
# checks what it reads: our restore proves every byte against the manifest, and the place of every element.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bench=${CHECKPOINT_BENCH:-$here/../build/bench/bench/checkpoint_bench}
python=${PYTHON:-python3}
rounds=${ROUNDS:-5}
layers=${LAYERS:-12}
folder=$(realpath -m "${FOLDER:-$here/../bench-checkpoints}")
results=$(realpath -m "${RESULTS:-$folder/results.txt}")
what=" ${WHAT:-ours1 ours2 fio1 fio2 torch h5py} "
request=$((4 << 20))  # of write_extents()
mkdir -p "$folder"
export OMPI_MCA_mpi_yield_when_idle=1

note() { echo "$*" | tee -a "$results"; }
ours() { # ours RANKS save|restore
  local line
  sync
  line=$(OMP_NUM_THREADS=$(($(nproc) / $1)) mpirun --bind-to none --oversubscribe -n "$1" "$bench" "what=$2" "folder=$folder/ours$1" "layers=$layers" | tail -n 1)
  [ -n "$line" ] || exit 70
  note "ours$1-$line"
}
bytes_of_ours() { sed -n 's/^ours.-save.*bytes=\([0-9]*\).*/\1/p' "$results" | tail -n 1; }
# The bytes of a rank are a file of its own: fio's jobs do not share one.
rates_of_fio() { # rates_of_fio JOBS write|read
  local bytes line
  bytes=$(bytes_of_ours)
  sync
  line=$(fio --name=part --directory="$folder/fio$1" --numjobs="$1" --size=$((bytes / $1)) --bs=$request --rw="$2" \
    --ioengine=psync --fallocate=none --end_fsync=1 --invalidate=1 --overwrite=0 --refill_buffers=1 \
    --group_reporting --output-format=json | "$python" -c "
import json, sys
job = json.load(sys.stdin)['jobs'][0]['$2']
seconds = job['runtime'] / 1000
print(f\"bytes={job['io_bytes']} total_s={seconds:.3f} gb_per_s={job['io_bytes'] * 1e-9 / seconds:.3f}\")")
  note "fio$1-$2 $line"
}
torch() { sync; note "torch-$("$python" "$here/checkpoint_torch.py" "$folder/torch" "$1" "$layers" 2>/dev/null | tail -n 1)"; }
h5py() { sync; note "$("$python" "$here/checkpoint_torch.py" "$folder/h5py" "h5$1" "$layers" | tail -n 1)"; }

for round in $(seq "$rounds"); do
  for peer in ours1 fio1 ours2 fio2 torch h5py; do
    [[ "$what" == *" $peer "* ]] || continue
    case $peer in
      ours*) rm -rf "$folder/$peer"; ours "${peer#ours}" save; ours "${peer#ours}" restore ;;
      fio*) rm -rf "${folder:?}/$peer"; mkdir -p "$folder/$peer"; rates_of_fio "${peer#fio}" write; rates_of_fio "${peer#fio}" read ;;
      torch) torch sync; torch load; torch async ;;
      h5py) h5py save; h5py load ;;
    esac
  done
  note "# round $round, load $(cut -d' ' -f1 /proc/loadavg)"
done

"$python" - "$results" <<'PY'
import re, statistics, sys

runs = {}
for line in open(sys.argv[1]):
    if line.startswith("#"):
        continue
    name = line.split()[0]
    runs.setdefault(name, []).append({k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", line)})


def middle(values):
    values = sorted(values)
    if len(values) < 2:
        return f"{values[0]:.3f}"
    q = statistics.quantiles(values, n=4, method="inclusive")
    return f"{q[1]:.3f} ({q[0]:.3f} to {q[2]:.3f})"


for name, all_runs in runs.items():
    print(f"{name}: {len(all_runs)} runs of {all_runs[0]['bytes'] * 1e-9:.3f} GB, s {middle([r['total_s'] for r in all_runs])}, "
          f"GB/s {middle([r['gb_per_s'] for r in all_runs])}"
          + (f", pause s {middle([r['pause_s'] for r in all_runs])}" if "pause_s" in all_runs[0] else ""))
for ours, peers in (("save", ("fio{}-write", "torch-sync", "torch-async", "h5save")), ("restore", ("fio{}-read", "torch-load", "h5load"))):
    for ranks in "12":
        mine = runs.get(f"ours{ranks}-{ours}")
        for peer in peers:
            other = runs.get(peer.format(ranks))
            if mine and other:
                pairs = [b["total_s"] / b["bytes"] / (a["total_s"] / a["bytes"]) for a, b in zip(mine, other)]
                print(f"rate of ours{ranks}-{ours} over {peer.format(ranks)}, pair by pair: {middle(pairs)}")
PY
