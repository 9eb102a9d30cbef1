#!/usr/bin/env bash
# Restore matrix: what each of eight layouts saved, restored in each of the eight, and 20 more steps
# with the losses of the undisturbed run; four layouts in reproducible mode to the bit; a cycle in
# bf16 and one in fp16; a federation whose sites change their layouts. CI walks one cycle.
#
#   bench/restore_matrix.sh                              # configures and builds build/release first
#   CONCORDAT_BUILD=build/dev bench/restore_matrix.sh
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CONCORDAT_BUILD:-build/release}
if [ -z "${CONCORDAT_BUILD:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build "$build" --target concordat -- --quiet
fi
CONCORDAT_PROGRAM=$(realpath "$build/bin/concordat") tests/system/restore_matrix_test.sh all
