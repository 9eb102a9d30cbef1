#!/usr/bin/env bash
# cli_test.sh: what a user reads (help, version) is whole, and what cannot be is refused by name.
. "$(dirname "$0")/small_federation.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-cli-XXXXXX")
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
passed=0
ok() { passed=$((passed + 1)); }

# refused EXIT_CODE ERROR_CODE WHAT COMMAND...: on standard error, nothing on standard output.
refused() {
  local code=$1 name=$2 what=$3 found=0
  shift 3
  "$@" >"$work/out" 2>"$work/err" || found=$?
  [ "$found" -eq "$code" ] || fail "$what: exit code $found, expected $code: $(cat "$work/err")"
  grep -qF "$name" "$work/err" || fail "$what: expected $name in: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "$what: standard output has $(cat "$work/out")"
  ok
}

# ---- help
"$concordat" --help >"$work/overview"
mapfile -t commands < <(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/overview")
[ "${#commands[@]}" -ge 10 ] || fail "the overview has only ${#commands[@]} commands"
grep -q '75 saved' "$work/overview" || fail "the overview has no exit codes"
for command in keys roster ingest train border coordinate status audit eval generate; do
  grep -q "^  $command " "$work/overview" || fail "$command is not in the overview"
done
for command in "${commands[@]}"; do
  "$concordat" "$command" --help >"$work/help" || fail "$command --help ends with $?"
  grep -q '^usage:' "$work/help" || fail "$command --help has no usage"
  ok
done

# Every key of the schema's source stands in the help of train, eval and generate.
keys_of() { grep -oE '\.(text|integer|real|boolean|list)\("[a-z]+\.[a-z0-9_]+"' "$1" | cut -d'"' -f2; }
mapfile -t keys < <(keys_of src/cli/schema.cpp)
[ "${#keys[@]}" -gt 45 ] || fail "only ${#keys[@]} keys found in the schema"
for command in train eval generate; do
  "$concordat" "$command" --help >"$work/help"
  for key in "${keys[@]}"; do grep -qF -- "--$key = " "$work/help" || fail "$key is not in $command --help"; done
  ok
done
mapfile -t keys < <(keys_of src/cli/coordinator_schema.cpp)
[ "${#keys[@]}" -ge 10 ] || fail "only ${#keys[@]} keys found in the coordinator's schema"
"$concordat" coordinate --help >"$work/help"
for key in "${keys[@]}"; do grep -qF -- "--$key = " "$work/help" || fail "$key is not in coordinate --help"; done
ok
"$concordat" roster --help >"$work/help"
grep -q -- --jurisdiction "$work/help" || fail "roster --help does not name --jurisdiction"

# ---- version
"$concordat" --version >"$work/version"
for what in '^concordat [0-9]' OpenSSL HDF5 Boost spdlog nlohmann-json 'toml++ [0-9]' '^  mpi  *[A-Za-z]' \
  '^  back ends  *.*reference' '^  instructions  *[A-Za-z]' '^  roads  *.*tls'; do
  grep -q "$what" "$work/version" || fail "--version lacks '$what': $(cat "$work/version")"
done
if ! grep -q avx2 /proc/cpuinfo; then ! grep -q 'back ends.*cpu' "$work/version" || fail "a cpu back end without AVX2"; fi
ok

# ---- usage
refused 64 core.usage "keys without an action" "$concordat" keys
refused 64 core.usage "keys with an unknown action" "$concordat" keys destroy
refused 64 core.usage "roster without an action" "$concordat" roster
refused 64 core.usage "roster with an unknown action" "$concordat" roster burn
refused 64 core.usage "train without a file" "$concordat" train --check

# ---- one of three processes that MPI did not join
"$concordat" keys create --name alba --folder "$work/alba/keys" >/dev/null
sed 's/@SITE@/alba/' configs/solo.toml >"$work/alba/solo.toml"
refused 64 comm.launcher_mismatch "a singleton of three" env OMPI_COMM_WORLD_SIZE=3 "$concordat" train "$work/alba/solo.toml"

# ---- the ledger has one writer: ingest hands its entry to who holds the lock, and waits
make_texts "$work/texts" one
exec 9>"$work/alba/border.lock" && flock -n 9
ingest=("$concordat" ingest --site "$work/alba" --language de --purpose test --name notes --source "$work/texts")
"${ingest[@]}" >"$work/out" 2>"$work/err" 9>&- & waits=$!
for _ in $(seq 100); do compgen -G "$work/alba/handover/*.entry" >/dev/null && break || sleep 0.1; done
for _ in $(seq 100); do grep -q "entry waits for the ledger's writer" "$work/err" && break || sleep 0.1; done
grep -q "entry waits for the ledger's writer" "$work/err" || fail "ingest does not say for whom it waits: $(cat "$work/err")"
kill -0 "$waits" || fail "ingest did not wait"
grep -Eq '^Max core file size +0 +0 ' "/proc/$waits/limits" || fail "ingest may dump its core"
kill -TERM "$waits"
code=0 && wait "$waits" || code=$?
[ "$code" -eq 75 ] || fail "ingest after TERM ended with $code: $(cat "$work/err")"
grep -q 'its ledger entry waits for the border' "$work/out" || fail "what is left to do is not said: $(cat "$work/out")"
compgen -G "$work/alba/handover/*.entry" >/dev/null || fail "the entry is not there any more"
[ ! -e "$work/alba/ledger/log.jsonl" ] || fail "ingest wrote beside the ledger's writer"
"$concordat" status "$work/alba" >"$work/out"
grep -q '^handed over *1 entry waits for the border' "$work/out" || fail "status does not show the entry: $(cat "$work/out")"
touch "$work/alba/handover/STOP"
code=0 && "${ingest[@]}" >/dev/null 2>&1 9>&- || code=$?
[ "$code" -eq 75 ] || fail "ingest after STOP ended with $code"
exec 9>&-
"${ingest[@]}" >"$work/out" || fail "ingest after the border"
grep -q 'ledger entry 0$' "$work/out" || fail "no index: $(cat "$work/out")"
"${ingest[@]}" >"$work/out" || fail "ingest once more"
grep -q '^already there.*ledger entry 0$' "$work/out" || fail "it was written twice: $(cat "$work/out")"
[ -z "$(ls "$work/alba/handover")" ] || fail "left in the hand-over folder: $(ls "$work/alba/handover")"
ok

# ---- two at once of one dataset, a folder that others may use
exec 9>"$work/alba/data/.twice.lock" && flock -n 9
refused 64 core.in_use "a second ingest of one dataset" "${ingest[@]/notes/twice}"
exec 9>&-
chmod 755 "$work/alba/handover"
refused 64 crypto.open_permissions "a hand-over folder that others may read" "${ingest[@]}"
chmod 700 "$work/alba/handover"
echo "cli: $passed passed"
