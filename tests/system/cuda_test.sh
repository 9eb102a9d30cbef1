#!/usr/bin/env bash
# cuda_test.sh: --train.device=cuda with the plug-in on an emulated GPU: one site trains to the losses of
# --train.device=cpu and goes on from its checkpoint on the CPU; a federation of one such site and two on CPUs ends in
# one state; a plug-in that is absent, broken, of another build, without driver or GPU is one message; the program
# itself has no CUDA library.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-cuda-XXXXXX")
trap 'status=$?; end_all $(jobs -p); [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
emulated=${EMULATED_PLUGIN:?the plug-in on the emulated CUDA} stale=${STALE_PLUGIN:?a plug-in of another build}
unset CONCORDAT_CUDA_PLUGIN

libraries=$(ldd "$concordat")
grep -q libmpi <<<"$libraries" || fail "ldd says nothing: $libraries"
if grep -iE 'cuda|cublas|cudnn|nccl' <<<"$libraries"; then fail "the program is linked to CUDA"; fi

{ printf '[run]\ninner_steps = 4\n' && small_model && quick_training; } | make_solo "$work"
site=$work/site.toml
trained 0 "$work/cpu.log" 1 "$site" --run.name=cpu --train.device=cpu
CONCORDAT_CUDA_PLUGIN=$emulated trained 0 "$work/cuda.log" 1 "$site" --run.name=cuda --train.device=cuda
grep -q 'computes on cuda: emulated device (no GPU)' "$work/cuda.log" || fail "the log does not say that the device is emulated"
alike cuda cpu 4 1e-4 # f32: a few ulp a step, which AdamW may turn into more where a moment is near 0
CONCORDAT_CUDA_PLUGIN=$emulated trained 0 "$work/graphs.log" 1 "$site" --run.name=graphs --train.device=cuda --train.graphs=true
alike graphs cuda 4 0
says 64 'this device replays no work' train "$site" --run.name=none --train.device=cpu --train.graphs=true
says 64 'this device replays no work' train --check "$site" --train.device=cpu --train.graphs=true
# auto never takes a plug-in yet, and its digits are the CPU's.
CONCORDAT_CUDA_PLUGIN=$emulated trained 0 "$work/auto.log" 1 "$site" --run.name=auto --train.device=auto
alike auto cpu 4 0
# What the device saved is a generation like any other.
trained 0 "$work/on.log" 1 "$site" --run.name=cuda --train.device=cpu --run.inner_steps=6
grep -q "instruction_set changed from 'cuda: emulated" "$work/on.log" || fail "going on elsewhere is not announced"

refused() { # refused TEXT [NAME=VALUE...]: training on cuda is a usage error that says so, once, with the way out.
  local text=$1
  shift
  (export "$@"; says 64 "$text" train "$site" --run.name=none --train.device=cuda)
  grep -q 'train.device=cpu' "$work/out" || { cat "$work/out" >&2; fail "no way out beside '$text'"; }
  [ "$(grep -cE "$text" "$work/out")" -eq 1 ] || { cat "$work/out" >&2; fail "'$text' is said more than once"; }
}
refused 'there is no CUDA plug-in' CONCORDAT_CUDA_PLUGIN=
refused 'there is no CUDA plug-in' CONCORDAT_CUDA_PLUGIN="$work/none.so"
refused 'the CUDA plug-in does not load' CONCORDAT_CUDA_PLUGIN="$site"
refused 'the CUDA plug-in does not fit this program' CONCORDAT_CUDA_PLUGIN="$stale"
refused 'no NVIDIA driver' CONCORDAT_CUDA_PLUGIN="$emulated" CUDA_EMULATOR_DRIVER=0
refused 'a driver for CUDA 11.0' CONCORDAT_CUDA_PLUGIN="$emulated" CUDA_EMULATOR_DRIVER=11000
refused 'a driver, but no visible GPU' CONCORDAT_CUDA_PLUGIN="$emulated" CUDA_EMULATOR_DEVICES=0

# A federation: alba on the device, brio on two CPU ranks, cala on one.
make_template "$work/run"
ranks=([alba]=1 [brio]=2 [cala]=1)
train_flags[alba]+=" --train.device=cuda"
train_flags[cala]+=" --layout.tp=1"
CONCORDAT_CUDA_PLUGIN=$emulated train_together "$work/run"
grep -q 'emulated device' "$work"/run/alba/runs/quickstart/checkpoints/*/manifest.json || fail "alba did not train on the device"
if grep -q 'emulated device' "$work"/run/brio/runs/quickstart/checkpoints/*/manifest.json; then fail "brio trained on the device"; fi
echo "cuda: passed"
