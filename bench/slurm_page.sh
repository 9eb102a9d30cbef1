#!/usr/bin/env bash
# slurm_page.sh: a newcomer's way, from docs/slurm.md: takes the commands of the section "From nothing
# to a federation that survives a requeue" out of the page and runs them, one after the other, in a
# fresh clone. Ends with 0 if the job came back from the queue, all states are equal and the audit
# passes. Needs slurm-wlm and munge. Some fifteen minutes on two cores, most of them for the build;
# CONCORDAT_BUILD=FOLDER takes a build that is there.
#
#   bench/slurm_page.sh [FOLDER]
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${1:-$(mktemp -d "${TMPDIR:-/tmp}/concordat-page-XXXXXX")}")
git clone --quiet "$top" "$work/clone"
cp "$top/docs/slurm.md" "$work/page.md" # with what is not committed yet
if [ -n "${CONCORDAT_BUILD:-}" ]; then
  CONCORDAT_BUILD=$(realpath "$CONCORDAT_BUILD")
  export CONCORDAT_BUILD
  mkdir -p "$work/clone/build"
  ln -s "$CONCORDAT_BUILD" "$work/clone/build/release"
fi
{
  echo 'set -e'
  awk '/^## /{on = /^## From nothing/} on && sub(/^    /, "")' "$work/page.md" | sed "s|/tmp/concordat-slurm|$work/slurm|"
} >"$work/commands.sh"
[ "$(wc -l <"$work/commands.sh")" -gt 20 ] || { echo "the page has no commands where they are expected" >&2; exit 70; }
cd "$work/clone"
code=0
bash "$work/commands.sh" >"$work/output" 2>&1 || code=$?
cat "$work/output"
[ "$code" -eq 0 ] || { echo "ended with $code; a Slurm may still run: . scripts/lib/one-node-slurm.sh; slurm_start $work/slurm; slurm_stop" >&2; exit "$code"; }
grep -q 'saved; back into the queue' "$work/output"
[ "$(sed -n 's/.*the run is complete.*state //p' "$work/output" | sort | uniq -c | awk '{print $1}')" = 3 ]
grep -q '^verified: 4 ledgers, .* 0 failed$' "$work/output"
[ ! -e "$work/slurm" ]
echo "the page holds: $work"
