#!/usr/bin/env bash
# Peak memory (VmHWM) of `concordat coordinate` with three sites over TLS, at 3 M and at 100 M
# elements with synthetic updates. Needs 1 GB of disk in TMPDIR; some two minutes.
#
#   bench/coordinator_memory.sh                     # configures and builds build/release-bench first
#   CONCORDAT_BUILD=build/dev bench/coordinator_memory.sh
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CONCORDAT_BUILD:-build/release-bench}
if [ -z "${CONCORDAT_BUILD:-}" ]; then
  cmake --preset release -B "$build" -DCONCORDAT_BUILD_TESTS=ON >/dev/null
fi
cmake --build "$build" --target coordinator_memory concordat -- --quiet
CONCORDAT_PROGRAM=$build/bin/concordat "$build/tests/unit/coordinator/coordinator_memory" | grep 'peak of'
