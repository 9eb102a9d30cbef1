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
