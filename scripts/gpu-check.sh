#!/usr/bin/env bash
# gpu-check.sh [REPORT]: everything that only a machine with an NVIDIA GPU can say of the cuda back end, in one Markdown
# file (default build/cuda/gpu-report.md), ready for docs/benchmarks.md: the op and training tests on the device,
# compute-sanitizer, the roofs of products and copies, training against PyTorch with MFU, collectives of several devices.
#
#   CONCORDAT_CUDA   a toolkit's folder (default: nvcc's of the PATH, else what scripts/lib/cuda-toolkit.sh fetches)
#   PYTHON           an interpreter with PyTorch 2 for CUDA (default python3; without it that part is left out)
#   PEAK_TFLOPS      the data sheet's dense bf16 rate (H100 SXM: 989), for an MFU beside that of the measured roof
#   SANITIZED        the tests that compute-sanitizer sees, as GoogleTest's filter (default: all of the op tests)
#
# Exit codes: 0 all held; 1 something did not, and the report says what; 69 no GPU that can be used, in one line.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/setup.sh
report=$(realpath -m "${1:-build/cuda/gpu-report.md}")
most=${MOST:-16384}
concordat_setup tests
cuda=${CONCORDAT_CUDA:-}
[ -n "$cuda" ] || cuda=$(dirname "$(dirname "$(command -v nvcc || echo /none/none)")")
[ -x "$cuda/bin/nvcc" ] || cuda=$(scripts/lib/cuda-toolkit.sh)
cuda=$(realpath "$cuda")
build=build/cuda
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say "building with $cuda"
cmake --preset cuda -DCMAKE_CUDA_COMPILER="$cuda/bin/nvcc" -DCUDAToolkit_ROOT="$cuda" -DCONCORDAT_BUILD_TESTS=ON \
  -DCONCORDAT_BUILD_BENCH=ON >"$work/configure.log" 2>&1 || { tail -n 20 "$work/configure.log" >&2; exit 1; }
make() { cmake --build "$build" --target "$@" >"$work/build.log" 2>&1 || { grep -E 'error|FAILED' "$work/build.log" | head -n 20 >&2; exit 1; }; }
make concordat_cuda roofline
export CONCORDAT_CUDA_PLUGIN=${CONCORDAT_CUDA_PLUGIN:-$PWD/$build/bin/libconcordat_cuda.so}
export LD_LIBRARY_PATH="$cuda/lib64:$cuda/nccl/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
code=0
"$build/bench/roofline" backend=cuda most=0 >"$work/device" 2>"$work/why" || code=$?
[ "$code" -ne 69 ] || { echo "gpu-check: no GPU here ($(head -n 1 "$work/why")); built, and nothing measured"; exit 69; }
[ "$code" -eq 0 ] || { cat "$work/why" >&2; exit 1; }
say "device: $(head -n 1 "$work/device")"
make unit_device_gpu unit_train_cuda unit_train_graphs unit_site train_step concordat
devices=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)

failed=0
out() { printf '%s\n' "$@" >>"$report"; }
# row LABEL COMMAND...: a line of a table of programs; keeps the log beside the report when it fails.
row() {
  local label=$1 begin=$SECONDS word=held log
  shift
  log="${report%.md}.$(tr -c 'a-z0-9\n' '-' <<<"$label").log"
  if ! "$@" >"$log" 2>&1; then word="**failed** (\`$(basename "$log")\`)" failed=1; else rm -f "$log"; fi
  out "| $label | $word | $((SECONDS - begin)) |"
  say "$label: $word"
}
value() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" | tail -n 1; }

mkdir -p "$(dirname "$report")"
: >"$report"
out "## On a GPU" "" "$(head -n 1 "$work/device"), $(git describe --always --dirty), $("$cuda/bin/nvcc" --version | tail -n 1), $(date -u +%F)." ""
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=index,name,driver_version,clocks.max.sm,power.limit,ecc.mode.current --format=csv | sed 's/^/    /' >>"$report"
  out ""
fi

out "| tests on the device (\`scripts/gpu-check.sh\`) | | s |" "|---|---|---|"
row "ops against the reference" "$build/tests/unit/device/unit_device_gpu" --gtest_brief=1
# Each rank of a layout wants a device of its own.
case ${devices:-0} in 0 | 1) layouts=none without='-*CudaLayout*' ;; [2-5]) layouts="of two devices" without='-*SixRanks*' ;; *) layouts=all without='*' ;; esac
OMP_NUM_THREADS=1 row "training against the reference (layouts: $layouts)" "$build/tests/unit/train/unit_train_cuda" --gtest_brief=1 --gtest_filter="$without"
[ "${devices:-0}" -gt 1 ] && without='*' || without='-*TwoRanks:*BesideItsBackward*'
OMP_NUM_THREADS=1 row "training with graphs: the bits without" "$build/tests/unit/train/unit_train_graphs" --gtest_brief=1 --gtest_filter="$without"
row "masked codes of the exchange, byte for byte" "$build/tests/unit/site/unit_site" --gtest_brief=1 --gtest_filter='DeviceBlocks.*'

sanitizer=$(command -v "$cuda/bin/compute-sanitizer" compute-sanitizer | head -n 1 || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    row "compute-sanitizer $tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$build/tests/unit/device/unit_device_gpu" \
      --gtest_brief=1 --gtest_filter="${SANITIZED:-*}"
  done
else
  out "| compute-sanitizer | not in this toolkit, left out | |"
fi

say "roofs"
out "" "Products and copies through the ops (\`bench/roofline backend=cuda most=$most\`):" ""
"$build/bench/roofline" backend=cuda most="$most" >"$work/roofs" || failed=1
sed -n '3,/^$/p' "$work/roofs" >>"$report"
roof=$(value best_bf16_tflops <"$work/roofs")

say "training"
out "Training GPT-2 124M on one device, bf16, \`train_step family=gpt2 batch=16 length=1024 steps=20 precision=bf16 backend=cuda\`:" ""
step=(family=gpt2 batch=16 length=1024 steps=20 precision=bf16)
"$build/bench/train_step" "${step[@]}" backend=cuda >"$work/ours" || failed=1
out "| | tokens/s | model TFLOP/s | MFU of the measured roof ($roof TFLOP/s)${PEAK_TFLOPS:+ | MFU of $PEAK_TFLOPS TFLOP/s} |"
out "|---|---|---|---|${PEAK_TFLOPS:+---|}"
speed() { # speed LABEL FILE
  local rate
  rate=$(value gflops <"$2")
  out "| $1 | $(value tokens_per_s <"$2") | $(awk -v r="$rate" 'BEGIN {printf "%.2f", r / 1000}') | $(awk -v r="$rate" -v p="${roof:-0}" \
    'BEGIN {if (p > 0) printf "%.1f %%", r / p / 10; else printf "-"}')${PEAK_TFLOPS:+ | $(awk -v r="$rate" -v p="$PEAK_TFLOPS" 'BEGIN {printf "%.1f %%", r / p / 10}')} |"
}
speed Concordat "$work/ours"
# The same with units of the step captured and replayed: in small models launches are what counts.
"$build/bench/train_step" "${step[@]}" backend=cuda graphs=1 >"$work/graphs" || failed=1
speed "Concordat, \`train.graphs\`" "$work/graphs"
small=(batch=1 length=128 steps=50 precision=bf16 backend=cuda)
for graphs in 0 1; do
  "$build/bench/train_step" "${small[@]}" graphs=$graphs >"$work/small" || failed=1
  speed "Concordat, \`train_step ${small[*]} graphs=$graphs\`" "$work/small"
done
python=${PYTHON:-python3}
if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  for compile in 0 1; do
    if "$python" bench/peer_torch.py "${step[@]}" device=cuda compile=$compile >"$work/peer" 2>"$work/peer.err"; then
      speed "PyTorch $([ $compile -eq 1 ] && echo compiled || echo eager)" "$work/peer"
    else
      out "| PyTorch, compile=$compile | failed: $(tail -n 1 "$work/peer.err") |"
    fi
  done
else
  out "" "PyTorch for CUDA is not in $python: no comparison."
fi

out ""
if [ "${devices:-0}" -lt 2 ]; then
  out "One device: no collectives measured."
else
  say "collectives"
  out "The program's collectives over $devices devices (\`mpirun -n $devices collectives over=cuda most=1048576\`):" ""
  make collectives
  mpirun -n "$devices" "$build/bench/collectives" over=cuda most=1048576 >"$work/collectives" || failed=1
  sed -n '/^|/p' "$work/collectives" >>"$report"
  out ""
  if command -v all_reduce_perf >/dev/null; then
    out "NCCL alone (\`all_reduce_perf -b 64K -e 1G -f 4 -g $devices\` of nccl-tests):" ""
    { all_reduce_perf -b 64K -e 1G -f 4 -g "$devices" || failed=1; } | grep -E '^ *[0-9]|#.*(bus|time)' | sed 's/^/    /' >>"$report"
  else
    out "No \`all_reduce_perf\` (nccl-tests) in the PATH: nothing to compare them with."
  fi
fi
say "report: $report"
exit "$failed"
