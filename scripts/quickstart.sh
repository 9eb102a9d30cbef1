#!/usr/bin/env bash
# quickstart.sh: sets up, builds, and runs a federation of three sites on real text.
#
# Three sites on this machine, each with manual pages in its own language (German, French, Spanish)
# that it keeps encrypted, train one byte-level language model together: one coordinator, three
# borders and three training jobs, all separate processes, TLS between them, masks on, one ledger
# per party. Then each site trains alone, and one run trains on the pooled data, to compare.
#
#   scripts/quickstart.sh            everything, in ./quickstart-run
#   scripts/quickstart.sh --short    two rounds and a smaller corpus: a test of the machinery
#   scripts/quickstart.sh --build    set up and build only
#   scripts/quickstart.sh --prepare  also make the sites, and start nothing (docs/slurm.md)
#
# CONCORDAT_RUN=FOLDER puts the run elsewhere, CONCORDAT_BUILD=FOLDER takes a build that is there.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/setup.sh
. scripts/lib/federation.sh

mode=${1:-full}
run=$(realpath -m "${CONCORDAT_RUN:-quickstart-run}")
flags=()
kib=1536
if [ "$mode" = --short ]; then
  flags=(--run.rounds=2 --run.inner_steps=4)
  kib=512
fi

concordat_setup quickstart
build_program
[ "$mode" = --build ] && exit 0

rm -rf "$run"
mkdir -p "$run"
say "corpora: manual pages in three languages"
made=()
for code in de fr es; do
  scripts/corpus.sh "$code" "$run/corpora/$code" "$kib" &
  made+=($!)
done
# A bare `wait` would return 0 whatever became of them.
for pid in "${made[@]}"; do wait "$pid" || { echo "quickstart: a corpus could not be made" >&2; exit 65; }; done

begun=$SECONDS
say "keys, roster, data and agreement: three sites and a coordinator"
make_federation "$run" "${flags[@]}"
if [ "$mode" = --prepare ]; then
  say "prepared in $run; nothing runs yet (docs/slurm.md)"
  exit 0
fi
say "the federation: $(rounds_of "$run") rounds, seven programs, TLS on $(cat "$run/port")"
run_federation "$run"

say "to compare: each site alone, and one run on the pooled data"
run_baselines "$run" "${flags[@]}"
say "evaluating five models on three languages"
print_table "$run"
printf '\n[%4ds] done; the federation and what it is compared with took %ds\n' "$SECONDS" $((SECONDS - begun))
