#!/usr/bin/env bash
# saving.sh [RANKS [WIDTH [LAYERS]]]: how long training stands still for a checkpoint, and how fast one is written.
# A solo job saves every 8 steps; medians over its saves but the last, beside dd with the same bytes and request
# size on the same file system, afterwards. CONCORDAT_PROGRAM as for the system tests.
. "$(dirname "$0")/../tests/system/solo_site.sh"
ranks=${1:-1} width=${2:-512} layers=${3:-8}
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-saving-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_solo "$work" <<TOML
[run]
rounds = 1
inner_steps = 41
[train]
batch = 8
micro_batch = 4
save_every = 8
[model]
width = $width
layers = $layers
heads = 8
kv_heads = 8
ffn = $((width * 4))
[inner]
length = 128
warmup_steps = 2
TOML
median() { sort -g | awk '{v[NR] = $1} END {if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }
written() { # written BYTES: seconds of dd with an fsync
  local start end
  start=$(date +%s.%N)
  dd if=/dev/zero of="$work/dd" bs=4M count=$(($1 / 4194304)) conv=fsync status=none
  end=$(date +%s.%N)
  rm "$work/dd"
  awk -v a="$start" -v b="$end" 'BEGIN {print b - a}'
}
run() { launch "$ranks" train "$work/site.toml" --run.name="$1" "${@:2}" >"$work/$1.log" 2>&1 || { tail -n 5 "$work/$1.log" >&2; fail "training"; }; }
run saves
metrics=$work/alba/runs/saves/metrics.jsonl
# The last save is waited for, so it tells nothing of the pause.
field() { grep "\"event\":\"$1\"" "$metrics" | sed -n 's/.*"'"$2"'":\([-0-9.e+]*\).*/\1/p' | { [ "$1" = save ] && head -n -1 || cat; }; }
bytes=$(field save bytes | head -n 1)
dd_s=$(for _ in 1 2 3; do written "$bytes"; done | median)
step_s=$(paste <(field step tokens) <(field step tokens_per_s) | awk '{print $1 / $2}' | median)
awk -v ranks="$ranks" -v bytes="$bytes" -v step="$step_s" -v snapshot="$(field save snapshot_s | median)" -v pause="$(field save pause_s | median)" \
  -v write="$(field save write_s | median)" -v dd="$dd_s" -v saves="$(field save bytes | wc -l)" 'BEGIN {
  printf "%d ranks, %.0f MiB, %d saves (medians): step %.3f s, pause %.3f s (%.2f of a step), snapshot %.3f s, written in %.2f s = %.0f MiB/s, dd %.0f MiB/s (%.2f of it)\n",
    ranks, bytes / 2^20, saves, step, pause, pause / step, snapshot, write, bytes / 2^20 / write, bytes / 2^20 / dd, dd / write}'
