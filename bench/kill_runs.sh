#!/usr/bin/env bash
# A hundred SIGKILLs: at every named point of the protocol (border, coordinator, ranks, saving) once,
# the rest at random moments: each disturbed run of a three-site federation over TLS must end with the
# undisturbed run's state, and every ledger must verify. CI does ten. Some 20 minutes on two cores.
#
#   bench/kill_runs.sh [SEED]                       # configures and builds build/release-bench first
#   CONCORDAT_BUILD=build/dev bench/kill_runs.sh    # needs a build with kill points
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CONCORDAT_BUILD:-build/release-bench}
if [ -z "${CONCORDAT_BUILD:-}" ]; then
  cmake --preset release -B "$build" -DCONCORDAT_KILL_POINTS=ON >/dev/null
  cmake --build "$build" --target concordat -- --quiet
fi
CONCORDAT_PROGRAM=$(realpath "$build/bin/concordat") tests/system/kill_test.sh all "${1:-1}"
