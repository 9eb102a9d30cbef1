#!/usr/bin/env bash
# test.sh: sets up, builds, and runs all tests.
#
#   scripts/test.sh            everything
#   scripts/test.sh quick      the quick suite (under a minute once built)
#   scripts/test.sh asan       unit tests under address and undefined-behaviour sanitizers: those
#                              of `sanitized` below and the mutations of hostile bytes (`train` and `train_layouts`
#                              would take minutes; `model` has their layers)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/setup.sh

suite=${1:-all}
sanitized=(core comm crypto observe exact parallel ledger device data model model_interop checkpoint border
  privacy federation governance site border_loop coordinator audit cli)
preset=dev
[ "$suite" = asan ] && preset=asan
concordat_setup tests
say "configuring ($preset)"
cmake --preset "$preset" >/dev/null
say "building"
targets=()
[ "$suite" = asan ] && targets=(--target "${sanitized[@]/#/unit_}" hostile_bytes)
cmake --build "build/$preset" "${targets[@]}" -- --quiet
say "testing"
# LeakSanitizer cannot tell what Open MPI keeps for ever.
export LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1
case "$suite" in
  quick) ctest --test-dir build/dev -L quick --output-on-failure -j 2 ;;
  asan) ctest --test-dir build/asan -R "^(hostile_bytes|unit_($(IFS='|'; echo "${sanitized[*]}"))(_full)?)\$" --output-on-failure -j 2 ;;
  all) ctest --test-dir build/dev --output-on-failure -j 2 ;;
  *) echo "test.sh: unknown suite '$suite' (all, quick, asan)" >&2; exit 64 ;;
esac
say "done"
