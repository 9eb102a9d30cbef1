#!/usr/bin/env bash
# cuda-exact-check.sh CUDA: no fused multiply-add, flushing or approximation in the kernels that must
# give the CPU's bits (src/device/cuda/exact_*.cu). CUDA is a toolkit's folder. Looks at the PTX, and
# at the machine code where the toolkit has cuobjdump.
set -euo pipefail
cuda=${1:?usage: cuda-exact-check.sh CUDA}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -O3 -fmad=false -ftz=false -prec-div=true -prec-sqrt=true -Isrc -Iinclude -Isrc/device/cuda/hardware)
wrong=0
for source in src/device/cuda/exact_*.cu; do
  for arch in 80 90; do
    name=$(basename "$source" .cu).sm_$arch
    "$cuda/bin/nvcc" "${flags[@]}" -arch=sm_$arch -ptx "$source" -o "$work/$name.ptx"
    # Integer mad of addresses is none of ours.
    if grep -nE '\b(fma|mad)\.(rn|rz|rm|rp)\.|\.ftz|\.approx' "$work/$name.ptx"; then
      echo "$name: fused, flushed or approximate PTX" >&2
      wrong=1
    fi
    grep -q 'mul\.rn\.f32\|mul\.f32' "$work/$name.ptx" || { echo "$name: no products at all: the check looks at the wrong code" >&2; wrong=1; }
    if [[ -x $cuda/bin/cuobjdump ]]; then
      "$cuda/bin/nvcc" "${flags[@]}" -arch=sm_$arch -cubin "$source" -o "$work/$name.cubin"
      "$cuda/bin/cuobjdump" -sass "$work/$name.cubin" >"$work/$name.sass"
      if grep -nE '\b(FFMA|DFMA|HFMA2)\b|\.FTZ|\bMUFU' "$work/$name.sass"; then
        echo "$name: fused, flushed or approximate machine code" >&2
        wrong=1
      fi
      grep -q 'FMUL' "$work/$name.sass" || { echo "$name: no FMUL in the machine code" >&2; wrong=1; }
      echo "$name: PTX and machine code are plain"
    else
      echo "$name: PTX is plain (no cuobjdump here: machine code not looked at)"
    fi
  done
done
exit $wrong
