#!/usr/bin/env bash
# spool.sh [ROUNDS]: what an exchange costs over a spool that both ends see, over one that rsync carries
# every second, and over tls, side by side: three sites, a model of 38 million parameters, all on this
# machine. For each road the medians over sites and rounds of the upload and the download, and of the
# whole exchange from the ranks' commit to the closing record.
set -euo pipefail
rounds=${1:-4}
export CONCORDAT_PROGRAM=${CONCORDAT_BUILD:-build/release}/bin/concordat
cd "$(dirname "$0")/.."
CONCORDAT_PROGRAM=$(realpath "$CONCORDAT_PROGRAM")
. tests/system/small_federation.sh
tiny=(--run.rounds="$rounds" --run.inner_steps=1 --model.width=512 --model.layers=12 --model.heads=8 --model.kv_heads=8
  --model.ffn=1408 --inner.length=32 --exchange.block_log2=20)
for site in "${sites[@]}"; do train_flags[$site]="--train.batch=3 --train.micro_batch=1 --checkpoint.keep=1"; done
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-spool-bench-XXXXXX")
trap 'touch "$work/over"; end_all $(jobs -p); rm -rf "$work"' EXIT
make_template "$work/template"

mover() { # mover SITE: between its own spool and the coordinator's, every second
  local here=$run/$1/spool there=$run/hub/spool/$1
  until [ -e "$work/over" ]; do
    rsync -a --remove-source-files --include='*.spool' --exclude='*' "$here/up/" "$there/up/" 2>/dev/null || true
    rsync -a --remove-source-files --include='*.spool' --exclude='*' "$there/down/" "$here/down/" 2>/dev/null || true
    sleep 1
  done
}

# Seconds between two of a border's lines of each round, the median of all.
between() { # between FROM TO
  local site
  for site in "${sites[@]}"; do
    awk -v from="$1" -v to="$2" '
      function seconds(t) { split(substr(t, 12), p, ":"); return p[1] * 3600 + p[2] * 60 + p[3] }
      index($0, from) { begin = seconds($1); open = 1 }
      index($0, to) && open { took = seconds($1) - begin; print took < 0 ? took + 86400 : took; open = 0 }' "$run/$site/border.log"
  done | sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "none" }'
}

printf '%-28s %10s %10s %10s\n' road "upload s" "download s" "exchange s"
for road in tls "spool, one folder" "spool, rsync every second"; do
  run=$work/run
  fresh_copy "$work/template" "$run"
  sed -i 's|^spool = .*|spool = "spool"|' "$run/hub/coordinator.toml"
  for site in "${sites[@]}"; do
    case $road in
      tls) ;;
      *folder) sed -i "s|^road = .*|road = \"spool\"\nspool = \"../hub/spool/$site\"|" "$run/$site/site.toml" ;;
      *) sed -i 's|^road = .*|road = "spool"|' "$run/$site/site.toml" ;;
    esac
  done
  rm -f "$work/over"
  movers=()
  if [[ $road = *rsync* ]]; then
    for site in "${sites[@]}"; do mover "$site" & movers+=($!); done
  fi
  train_together "$run"
  touch "$work/over"
  [ ${#movers[@]} -eq 0 ] || wait "${movers[@]}"
  state=$(final_state "$run")
  [ "${expected:=$state}" = "$state" ] || fail "over $road the state is $state, over tls $expected"
  printf '%-28s %10s %10s %10s\n' "$road" "$(between 'commit taken' 'header delivered')" \
    "$(between 'aggregate accepted' 'aggregate stored')" "$(between 'commit taken' ': closed, summed')"
done
echo "parameters: $(sed -n 's/^parameters *//p' "$work/template/check.txt"); the same final state over each: $expected"
