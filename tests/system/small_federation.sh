# Sourced by the system tests: a federation of three sites with a tiny model, made once and copied,
# so that every disturbed run starts from the same keys, data and agreement.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top"
CONCORDAT_SKIP_SETUP=1
. scripts/lib/setup.sh
. scripts/lib/federation.sh
concordat=${CONCORDAT_PROGRAM:?the program under test}
tiny=(--run.rounds=2 --run.inner_steps=2 --model.width=32 --model.layers=2 --model.heads=2
  --model.kv_heads=2 --model.ffn=64 --inner.length=32 --exchange.block_log2=12)
for site in "${sites[@]}"; do train_flags[$site]="--train.batch=4 --train.micro_batch=2 --train.log_every=1"; done

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Whether this build can be killed at named points. No pipe: grep -q may leave before it is written.
kill_points() { [[ $("$concordat" --version --verbose) == *'kill points'* ]]; }

# Text without any package: sentences of a few words, different in every site and document.
make_texts() { # make_texts FOLDER SEED
  mkdir -p "$1"
  local i
  for i in $(seq 1 40); do
    awk -v seed="$(cksum <<<"$2 $i" | cut -d' ' -f1)" 'BEGIN{srand(seed); split("die der und sehr klar le la et tres bon el los y muy bien", w, " ");
      for (n = 0; n < 250; n++) printf "%s%s", w[int(rand()*15)+1], (n%12==11) ? ".\n" : " "}' >"$1/text-$i.txt"
  done
}

# make_template FOLDER: a federation that has not run yet.
make_template() {
  local site
  mkdir -p "$1"
  for site in "${sites[@]}"; do make_texts "$1/corpora/${language[$site]}" "$site"; done
  make_federation "$1" "${tiny[@]}" >/dev/null
}

# fresh_copy TEMPLATE FOLDER: with a port of its own.
fresh_copy() {
  rm -rf "$2"
  cp -a "$1" "$2"
  port=$(free_port)
  echo "127.0.0.1:$port" >"$2/port"
  sed -i "s/^listen = .*/listen = \"127.0.0.1:$port\"/" "$2/hub/coordinator.toml"
  for site in "${sites[@]}"; do sed -i "s/^address = .*/address = \"127.0.0.1:$port\"/" "$2/$site/site.toml"; done
}

# The final state that every site proved; fails if they differ.
final_state() {
  local states
  states=$(for site in "${sites[@]}"; do sed -n 's/.*the run is complete.*state //p' "$1/$site/train.log" | tail -n 1; done | sort -u)
  [ "$(wc -w <<<"$states")" -eq 1 ] || fail "the sites' final states differ: $states"
  echo "$states"
}

audit_all() {
  "$concordat" audit --roster "$1/roster.json" --agreement "$1/agreement.json" --party "hub=$1/hub" \
    --party "alba=$1/alba" --party "brio=$1/brio" --party "cala=$1/cala" >"$1/audit.txt" || {
    cat "$1/audit.txt" >&2
    fail "the audit of $1 found faults"
  }
}

# train_together RUN: to the end; all sites prove one state and the audit agrees.
train_together() {
  run_federation "$1" >/dev/null
  [ -n "$(final_state "$1")" ] || fail "no final state"
  audit_all "$1"
}

# For the tests that drive the federation in the folder $run themselves.
last_words() { tail -n 5 "$run"/hub/log "$run"/*/border.log "$run"/*/train.log >&2 || true; }
wait_for() { # wait_for SECONDS WHAT COMMAND...
  local left=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { last_words; fail "waited in vain: $what"; }
    sleep 0.1
  done
}

# begin COMMAND...: one more of the processes that have to end well.
pids=() names=()
begin() { "$@" & pids+=($!); names+=("$*"); }
all_end_well() {
  local i
  wait_all "${pids[@]}" && return
  last_words
  for i in "${!pids[@]}"; do
    [ "${pids[i]}" != "$failed_pid" ] || fail "${names[i]} ended with an error"
  done
}
