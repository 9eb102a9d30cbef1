#!/usr/bin/env bash
# cuda-build-check.sh [CUDA]: builds the plug-in for sm_80 and sm_90 with the toolkit in the folder CUDA
# (default: what scripts/lib/cuda-toolkit.sh fetches; no GPU or driver needed), warnings as errors; compares
# registers and spills with the stored table; looks for fused instructions where there must be none.
set -euo pipefail
cd "$(dirname "$0")/.."
cuda=$(realpath "${1:-$(scripts/lib/cuda-toolkit.sh)}")
cmake --preset cuda -DCMAKE_CUDA_COMPILER="$cuda/bin/nvcc" -DCUDAToolkit_ROOT="$cuda" >/dev/null
log=build/cuda/kernels.log
"$cuda/bin/nvcc" --version >"$log"
# From scratch: the log has to have every kernel. Ninja keeps each file's output together, under its command.
cmake --build build/cuda --target concordat_cuda --clean-first -j 2 -- -v >>"$log" 2>&1 || { grep -E 'error|warning' "$log" | head -20; exit 1; }
scripts/cuda-kernel-table.py "$log"
PATH="$cuda/bin:$PATH" scripts/cuda-exact-check.sh "$cuda"
nm -D --defined-only build/cuda/bin/libconcordat_cuda.so | awk '$2 == "T" {print $3}' | sort | tr '\n' ' '
echo
