# Sourced by the system tests of one site that trains alone.
. "$(dirname "${BASH_SOURCE[0]}")/small_federation.sh"

# make_solo FOLDER: keys and an encrypted dataset `texts` of the site alba; site.toml from standard
# input, behind [site] and [data].
make_solo() {
  local i
  mkdir -p "$1/text"
  for i in $(seq 60); do seq -f "Satz %.0f von Dokument $i." 40 >"$1/text/$i.txt"; done
  "$concordat" keys create --name alba --folder "$1/alba/keys" >/dev/null
  "$concordat" ingest --site "$1/alba" --name texts --source "$1/text" --language de \
    --purpose test --validation-permille 100 >/dev/null
  { printf '[site]\nname = "alba"\nfolder = "alba"\n[data]\ndatasets = ["texts"]\n' && cat; } >"$1/site.toml"
}

# trained EXIT_CODE LOG RANKS ARGUMENT...: a training job that must end so; shows its log otherwise.
trained() {
  local code=0
  launch "$3" train "${@:4}" >"$2" 2>&1 || code=$?
  [ "$code" -eq "$1" ] || { cat "$2" >&2; fail "exit code $code, expected $1: train ${*:4}"; }
}

# losses RUN: "step loss" of every step of a run below $work, the last one made of it.
losses() {
  sed -n 's/.*"event":"step".*"step":\([0-9]*\),.*"loss":\([^,}]*\).*/\1 \2/p' "$work/alba/runs/$1/metrics.jsonl" |
    awk '{loss[$1] = $2} END {for (s in loss) print s, loss[s]}' | sort -n
}
# alike RUN REFERENCE STEPS MOST: so many steps with numbers for losses, the last below the first, and each
# step's loss that of the reference, by at most that part of it (0: digit for digit). Prints the largest difference.
alike() {
  join <(losses "$2" | sort) <(losses "$1" | sort) | awk -v run="$1" -v steps="$3" -v most="$4" '
    function number(text) { return text ~ /^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$/ }
    NF != 3 || !number($2) || !number($3) || $2 <= 0 { bad = bad " step " $1 ": " $2 " " $3; next }
    {d = ($3 - $2) / $2; if (d < 0) d = -d; if (d > worst) worst = d; n++; if ($2 "" != $3 "") other++
     if (n == 1 || $1 + 0 < first_step) {first_step = $1 + 0; first = $3}
     if (n == 1 || $1 + 0 > last_step) {last_step = $1 + 0; last = $3}}
    END {printf "%s: %d steps, loss %s to %s, largest difference %.2g%s\n", run, n, first, last, worst, bad
         exit !(n == steps && bad == "" && last < first && (most > 0 ? worst <= most : other == 0))}' || fail "$1 trains otherwise than $2"
}
# roots GENERATION: of all its tensors, with their names.
roots() { tr ',' '\n' <"$1/manifest.json" | grep -E '"(name|root)"' | tr -d '{}[] '; }
# same_roots GENERATION GENERATION: whether both have the same tensors.
same_roots() { [ -n "$(roots "$1")" ] && [ "$(roots "$1")" = "$(roots "$2")" ]; }
# newest RUN: its newest generation.
newest() { ls -d "$work/alba/runs/$1/checkpoints"/step-* | sort -V | tail -n 1; }
# kept GENERATION KEY: a text of its metadata.
kept() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["body"]["metadata"][sys.argv[2]])' "$1/manifest.json" "$2"; }
# says EXIT_CODE TEXT ARGUMENT...: `concordat ARGUMENT...` ends so and has the text (a pattern) in what it prints.
passed=0
says() {
  local code=0 wanted=$1 text=$2
  shift 2
  "$concordat" "$@" >"$work/out" 2>&1 || code=$?
  [ "$code" = "$wanted" ] || { cat "$work/out" >&2; fail "exit $code instead of $wanted: $*"; }
  grep -qE -- "$text" "$work/out" || { cat "$work/out" >&2; fail "no '$text' from: $*"; }
  passed=$((passed + 1))
}
# quick_training: the sections of a configuration that trains for a few quick steps.
quick_training() { printf '[inner]\nrate = 4e-3\nwarmup_steps = 2\nlength = 32\n[train]\nbatch = 4\nmicro_batch = 2\n'; }
# small_model [LAYERS]: its section of a configuration, with every axis that a layout may cut.
small_model() {
  printf '[model]\nwidth = 32\nlayers = %s\nheads = 4\nkv_heads = 2\nffn = 64\ntied = true\n' "${1:-2}"
}
