#!/usr/bin/env bash
# static-checks.sh [BASE]: clang-tidy with .clang-tidy on the sources that changed since BASE
# (default: the parent commit; uncommitted changes count), at most 40 of them.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-HEAD~1}
[ -f build/dev/compile_commands.json ] || cmake --preset dev >/dev/null
git rev-parse -q --verify "$base" >/dev/null || base=$(git hash-object -t tree /dev/null)
mapfile -t changed < <(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' | head -n 40)
# Code for one instruction set alone (gcc's target pragmas) is none that clang 14 reads.
mapfile -t changed < <([ "${#changed[@]}" -eq 0 ] || grep -L '^#pragma GCC target' "${changed[@]}")
if [ "${#changed[@]}" -eq 0 ]; then
  echo "static checks: no source changed"
  exit 0
fi
# clang takes neither gcc's precompiled headers nor all of its warnings.
mkdir -p build/dev/static
sed -E 's# -Winvalid-pch##g; s# -include [^ "]*cmake_pch\.hxx##g' build/dev/compile_commands.json >build/dev/static/compile_commands.json
printf '%s\n' "${changed[@]}" | xargs -P 2 -n 4 clang-tidy --quiet -p build/dev/static --extra-arg=-Wno-unknown-warning-option 2>/dev/null
echo "static checks: ${#changed[@]} files"
