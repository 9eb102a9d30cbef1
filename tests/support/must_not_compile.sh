#!/usr/bin/env bash
# must_not_compile.sh COMPILER SOURCE_DIR FILE: FILE must compile as it stands and must not compile
# with -DCONCORDAT_MISUSE, so that the test fails when the file is broken for another reason.
set -u
compiler=$1
top=$2
file=$3
flags=(-std=c++20 -fsyntax-only "-I$top/include" "-I$top/src")
if ! "$compiler" "${flags[@]}" "$file"; then
  echo "must_not_compile: $file does not compile even without the misuse" >&2
  exit 1
fi
if "$compiler" "${flags[@]}" -DCONCORDAT_MISUSE "$file" 2>/dev/null; then
  echo "must_not_compile: the misuse in $file compiles" >&2
  exit 1
fi
