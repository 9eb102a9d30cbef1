#!/usr/bin/env bash
# gap_to_pooled.sh [SEED ...]: how far the federation stays behind a run on the pooled data, in bits
# per byte, next to the same recipe in PyTorch, with the spread over the seeds (default 1 2 3).
#
# About 20 minutes on two cores. Needs the quickstart's packages and PYTHON=INTERPRETER, a Python with
# PyTorch 2: python3 -m venv torch && torch/bin/pip install torch numpy (Debian's 1.13 takes twelve
# times as long here). CONCORDAT_BUILD=FOLDER takes a build that is there. Results lie in
# bench-gap/results.txt; the table is printed at the end. Fails if Concordat's gap is worse than
# PyTorch's by more than one standard deviation over the seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/setup.sh
. scripts/lib/federation.sh

seeds=("${@:-1}")
[ $# -gt 0 ] || seeds=(1 2 3)
python=${PYTHON:-python3}
run=$(realpath -m bench-gap)
"$python" -c 'import torch' 2>/dev/null || {
  echo "gap_to_pooled: $python has no torch: set PYTHON to one that has (see the head of this file)" >&2
  exit 64
}
concordat_setup quickstart
build_program
rm -rf "$run"
mkdir -p "$run/corpora"
for code in de fr es; do scripts/corpus.sh "$code" "$run/corpora/$code"; done

say "PyTorch $("$python" -c 'import torch; print(torch.__version__)') in the background, one thread"
OMP_NUM_THREADS=1 "$python" bench/gap_to_pooled_torch.py "$run/corpora" "${seeds[@]}" >"$run/torch.txt" 2>"$run/torch.log" &
torch=$!
trap 'kill "$torch" 2>/dev/null || true' EXIT

for seed in "${seeds[@]}"; do
  one=$run/seed-$seed
  mkdir -p "$one"
  ln -s "$run/corpora" "$one/corpora"
  say "seed $seed: the federation"
  make_federation "$one" "--run.seed=$seed" >"$one/setup.log"
  run_federation "$one"
  say "seed $seed: the pooled data"
  prepare_pooled "$one"
  train_alone "$one" pooled "--run.seed=$seed"
  for model in federated pooled; do
    folder=$one/alba/runs/quickstart
    [ "$model" = federated ] || folder=$one/pooled/runs/alone
    row=()
    for site in "${sites[@]}"; do row+=("$(bits "$one" "$folder" "$site")"); done
    awk -v m="$model" -v s="$seed" '{printf "Concordat %s %s %s %s %s %.4f\n", s, m, $1, $2, $3, ($1+$2+$3)/3}' \
      <<<"${row[*]}" | tee -a "$run/concordat.txt"
  done
done
say "waiting for PyTorch"
wait "$torch" || { cat "$run/torch.log" >&2; exit 70; }
cat "$run/torch.txt"
cat "$run/concordat.txt" "$run/torch.txt" >"$run/results.txt"

awk '
  { bits[$1, $3, $2] = $7; seeds[$2]; who[$1] }
  END {
    printf "\n%-11s %24s %24s %24s\n", "", "federated", "pooled", "gap to pooled"
    for (peer in who) {
      for (part = 1; part <= 3; ++part) {
        n = sum = squares = 0
        for (seed in seeds) {
          fed = bits[peer, "federated", seed]; pool = bits[peer, "pooled", seed]
          x = part == 1 ? fed : part == 2 ? pool : fed - pool
          ++n; sum += x; squares += x * x
        }
        mean[part] = sum / n
        variance = n > 1 ? (squares - sum * sum / n) / (n - 1) : 0
        deviation[part] = sqrt(variance > 0 ? variance : 0)
        cell[part] = sprintf("%.4f +- %.4f", mean[part], deviation[part])
      }
      printf "%-11s %24s %24s %24s\n", peer, cell[1], cell[2], cell[3]
      gap[peer] = mean[3]; spread[peer] = deviation[3]
    }
    worst = spread["PyTorch"] > spread["Concordat"] ? spread["PyTorch"] : spread["Concordat"]
    excess = gap["Concordat"] - gap["PyTorch"]
    printf "\nmean bits per byte of German, French and Spanish, %d seeds, +- one standard deviation\n", n
    printf "Concordat minus PyTorch: %+.4f; one seed deviation: %.4f: %s\n", excess, worst, excess <= worst ? "not worse" : "WORSE"
    exit excess > worst
  }' "$run/results.txt"
