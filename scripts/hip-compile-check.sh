#!/usr/bin/env bash
# hip-compile-check.sh: compiles the kernels (src/device/cuda/*.cu) with hipcc for gfx90a, warnings as errors, through
# the names of src/device/cuda/hip. Compiled only: there is no plug-in for HIP, and nothing ran on such a GPU.
# HIPCC names the compiler (Debian 12: packages hipcc, libamdhip64-dev). Exit 75 without one.
set -euo pipefail
cd "$(dirname "$0")/.."
hipcc=${HIPCC:-hipcc}
command -v "$hipcc" >/dev/null || { echo "hip-compile-check: no hipcc here (HIPCC names one)"; exit 75; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What goes through libraries or instructions that src/device/cuda/hip does not map.
declare -A not_mapped=([matmul]="cuBLASLt" [attention_mma_forward]="mma.sync" [attention_mma_backward]="mma.sync")
flags=(-x hip --offload-arch=gfx90a --cuda-device-only -std=c++20 -O2 -ffp-contract=off -Wall -Wextra -Werror -Wno-unused-command-line-argument
  -isystem "${HIP_PATH:-/usr}/include" -Isrc/device/cuda/hip -Isrc/device/cuda/hardware -Isrc -Iinclude
  '-DCONCORDAT_CUDA_CONTRACT="hip"')
wrong=0 compiled=0
for source in src/device/cuda/*.cu; do
  name=$(basename "$source" .cu)
  if [ -n "${not_mapped[$name]:-}" ]; then
    echo "$name: left out, ${not_mapped[$name]} is not mapped"
    continue
  fi
  "$hipcc" "${flags[@]}" -S "$source" -o "$work/$name.s" || { wrong=$((wrong + 1)); continue; }
  grep -q s_endpgm "$work/$name.s" || { echo "$name: no kernel in what came out" >&2; wrong=$((wrong + 1)); }
  compiled=$((compiled + 1))
  if [[ $name == exact_* ]] && grep -nE '\bv_(fma|fmac|mac|mad|pk_fma)_f(16|32)' "$work/$name.s"; then
    echo "$name: fused instructions, where there must be none" >&2
    wrong=$((wrong + 1))
  fi
done
echo "$compiled sources compiled for gfx90a, $wrong wrong"
[ "$compiled" -gt 0 ] && [ "$wrong" -eq 0 ]
