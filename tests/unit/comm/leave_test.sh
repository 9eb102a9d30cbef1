#!/usr/bin/env bash
# leave_test.sh MPIRUN PROBE: a failing rank ends its job with its own exit code and one report.
set -u
mpirun=$1
probe=$2
for how in plain:65 agreed:65 saved:75; do
  output=$("$mpirun" 3 "$probe" "${how%:*}" 2>&1)
  code=$?
  if [ "$code" -ne "${how#*:}" ]; then
    echo "leave_test: ${how%:*} ended with $code instead of ${how#*:}: $output" >&2
    exit 1
  fi
  reports=$(grep -c '^probe: ' <<<"$output")
  expected=1
  [ "${how%:*}" = saved ] && expected=0
  if [ "$reports" -ne "$expected" ]; then
    echo "leave_test: ${how%:*} gave $reports reports instead of $expected: $output" >&2
    exit 1
  fi
done
