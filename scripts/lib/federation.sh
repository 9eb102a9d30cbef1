# Sourced by quickstart.sh and the system tests: a federation of three sites on one machine.
# Layout of a run: RUN/{hub,alba,brio,cala,pooled}/ with keys, data and logs; roster.json,
# agreement.json, federation.toml; port.

sites=(alba brio cala)
declare -A language=([alba]=de [brio]=fr [cala]=es) tongue=([de]=German [fr]=French [es]=Spanish)
# Three layouts of one model: one rank, two pipeline stages, two halves of every matrix.
declare -A ranks=([alba]=1 [brio]=2 [cala]=2) train_flags=()
declare -A layout=([alba]='' [brio]='s/^pp = 1/pp = 2/; s/^micro_batch = 16/micro_batch = 4/' [cala]='s/^tp = 1/tp = 2/')

# Builds the program alone and sets `concordat` to it.
build_program() {
  local build=${CONCORDAT_BUILD:-build/release}
  if [ -z "${CONCORDAT_BUILD:-}" ]; then
    say "building the program"
    cmake --preset release >"/tmp/concordat-configure-$$.log" || { cat "/tmp/concordat-configure-$$.log" >&2; exit 70; }
    rm -f "/tmp/concordat-configure-$$.log"
    cmake --build build/release --target concordat -- --quiet
    say "built"
  fi
  concordat=$(realpath "$build/bin/concordat")
}

free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# Each mpirun gets a session folder of its own: those of one user share one in /tmp otherwise, and
# one that ends can take it away from one that starts. It lies in $work where a caller has one, so that
# it goes with that when mpirun and this shell are killed.
session_folder() { mktemp -d "${work:-${TMPDIR:-/tmp}}/mpirun-XXXXXX"; }
launch() { # launch RANKS ARGUMENT...
  local session code=0
  session=$(session_folder)
  OMP_NUM_THREADS=1 mpirun --mca orte_tmpdir_base "$session" --bind-to none --oversubscribe -n "$1" "$concordat" "${@:2}" || code=$?
  rm -rf "$session"
  return "$code"
}

# make_federation RUN [--key=value of federation.toml ...]: from configs/federation.toml or $federation_config
make_federation() {
  local run=$1 site code digest
  shift
  port=$(free_port)
  echo "127.0.0.1:$port" >"$run/port"
  cp "${federation_config:-configs/federation.toml}" "$run/federation.toml"
  printf '%s\n' "$@" >"$run/flags"
  "$concordat" keys create --name hub --folder "$run/hub/keys" >/dev/null
  sed "s/127.0.0.1:7443/127.0.0.1:$port/" configs/coordinator.toml >"$run/hub/coordinator.toml"
  local members=()
  for site in "${sites[@]}"; do
    code=${language[$site]}
    "$concordat" keys create --name "$site" --folder "$run/$site/keys" >/dev/null
    sed "s/@SITE@/$site/; ${layout[$site]}" configs/site.toml >"$run/$site/site.toml"
    "$concordat" ingest --site "$run/$site" --name manuals --source "$run/corpora/$code" \
      --language "$code" --purpose "language model training" --validation-permille 100 | sed "s/^/        $site: /"
    members+=(--site "$run/$site/keys/$site.pub=${code^^}")
  done
  "$concordat" roster create --name three-seas --address "127.0.0.1:$port" \
    --coordinator "$run/hub/keys/hub.pub" "${members[@]}" --out "$run/roster.json" >/dev/null
  for site in hub "${sites[@]}"; do
    "$concordat" roster sign "$run/roster.json" --keys "$run/$site/keys" >/dev/null
  done
  "$concordat" train --check "$run/federation.toml" "$@" >"$run/check.txt"
  digest=$(sed -n 's/^initial state *//p' "$run/check.txt")
  "$concordat" roster agreement --roster "$run/roster.json" --config "$run/federation.toml" \
    --initial-digest "$digest" --out "$run/agreement.json" "$@" >/dev/null
  for site in hub "${sites[@]}"; do
    "$concordat" roster sign "$run/agreement.json" --roster "$run/roster.json" --keys "$run/$site/keys" >/dev/null
  done
  "$concordat" roster verify "$run/roster.json" "$run/agreement.json" | sed 's/^/        /'
}

rounds_of() { sed -n 's/^agreement.*: \([0-9]*\) rounds.*/\1/p' <("$concordat" roster verify "$1/roster.json" "$1/agreement.json"); }

start_coordinator() { "$concordat" coordinate "$1/hub/coordinator.toml" >>"$1/hub/log" 2>&1; }
start_border() { "$concordat" border "$1/$2/site.toml" >>"$1/$2/border.log" 2>&1; }
# shellcheck disable=SC2086  # the flags are words
start_training() { launch "${ranks[$2]}" train "$1/$2/site.toml" ${train_flags[$2]:-} >>"$1/$2/train.log" 2>&1; }

# The newest step and loss of a run folder, from its metrics.
newest_step() { sed -n 's/.*"event":"step".*"step":\([0-9]*\),.*"loss":\([0-9.]*\).*/\1 \2/p' "$1/metrics.jsonl" 2>/dev/null | tail -n 1; }

progress_line() { # progress_line LABEL RUN_FOLDER ...
  local line=$1 folder step loss
  shift
  for folder in "$@"; do
    read -r step loss < <(newest_step "$folder") || { step=0; loss=-; }
    line+=$(printf '  %s step %s loss %.5s' "$(basename "$(dirname "$(dirname "$folder")")")" "${step:-0}" "${loss:--}")
  done
  say "$line"
}

# Ends background functions with the programs that they started.
end_all() { # end_all PID...
  local pid children
  for pid in "$@"; do
    children=$(pgrep -P "$pid") || true
    # shellcheck disable=SC2086  # the pids are words
    kill "$pid" $children 2>/dev/null || true
  done
}

# wait_all PID...: until all have ended well, or one has not ($failed_pid), for which the others would wait.
wait_all() {
  local left=("$@") still pid
  while [ ${#left[@]} -gt 0 ]; do
    still=()
    for pid in "${left[@]}"; do
      if kill -0 "$pid" 2>/dev/null; then still+=("$pid"); else failed_pid=$pid && wait "$pid" || return; fi
    done
    left=("${still[@]}")
    [ ${#left[@]} -eq 0 ] || sleep 0.05
  done
}

# run_federation RUN: seven programs; fails, and ends the others, if any fails.
run_federation() {
  local run=$1 site pids=() names=() i failed=0
  start_coordinator "$run" & pids+=($!); names+=("coordinator (log: $run/hub/log)")
  for site in "${sites[@]}"; do
    start_border "$run" "$site" & pids+=($!); names+=("border of $site (log: $run/$site/border.log)")
    start_training "$run" "$site" & pids+=($!); names+=("training of $site (log: $run/$site/train.log)")
  done
  local beat=0
  while kill -0 "${pids[0]}" 2>/dev/null; do
    sleep 1
    beat=$((beat + 1))
    [ $((beat % 10)) -eq 0 ] && progress_line "federation:" "$run"/{alba,brio,cala}/runs/quickstart
    for i in "${!pids[@]}"; do
      kill -0 "${pids[i]}" 2>/dev/null && continue
      [ -z "${names[i]}" ] && continue
      if ! wait "${pids[i]}"; then
        echo "quickstart: the ${names[i]} failed" >&2
        failed=1
      fi
      names[i]=
    done
    [ "$failed" -eq 0 ] || break
  done
  if [ "$failed" -ne 0 ]; then
    tail -n 5 "$run"/hub/log "$run"/*/border.log "$run"/*/train.log >&2
    end_all "${pids[@]}"
    return 70
  fi
  for i in "${!pids[@]}"; do
    [ -z "${names[i]}" ] || wait "${pids[i]}" || { echo "quickstart: the ${names[i]} failed" >&2; return 70; }
  done
}

# prepare_pooled RUN: one party that holds all three corpora and trains with the sum of the batches.
prepare_pooled() {
  local run=$1 site code
  mkdir -p "$run/pooled"
  "$concordat" keys create --name pooled --folder "$run/pooled/keys" >/dev/null
  for site in "${sites[@]}"; do
    code=${language[$site]}
    "$concordat" ingest --site "$run/pooled" --name "$code" --source "$run/corpora/$code" \
      --language "$code" --purpose "comparison" --validation-permille 100 >/dev/null
  done
  { sed 's/@SITE@/pooled/; s/"manuals"/"de", "fr", "es"/; s/^batch = 16/batch = 48/; /^\[run\]/,$d' configs/solo.toml
    shared_keys "$run"; } >"$run/pooled/solo.toml"
}

# train_alone RUN PARTY [flags]: as solo.toml says, without the federation.
train_alone() {
  [ -e "$1/$2/solo.toml" ] || { sed "s/@SITE@/$2/; /^\[run\]/,\$d" configs/solo.toml; shared_keys "$1"; } >"$1/$2/solo.toml"
  launch 1 train "$1/$2/solo.toml" --run.name=alone "${@:3}" >>"$1/$2/alone.log" 2>&1
}

# run_baselines RUN [flags]: each site alone, one after the other, beside the pooled run.
run_baselines() {
  local run=$1 site pids=()
  shift
  prepare_pooled "$run"
  for site in "${sites[@]}"; do train_alone "$run" "$site" "$@"; done & pids+=($!)
  train_alone "$run" pooled "$@" & pids+=($!)
  local beat=0
  while kill -0 "${pids[0]}" 2>/dev/null || kill -0 "${pids[1]}" 2>/dev/null; do
    sleep 1
    beat=$((beat + 1))
    [ $((beat % 10)) -eq 0 ] && progress_line "alone:" "$run"/{alba,brio,cala,pooled}/runs/alone
  done
  wait "${pids[0]}" && wait "${pids[1]}" || { tail -n 5 "$run"/*/alone.log >&2; return 70; }
}

# What an agreement would fix, for runs without one.
shared_keys() { sed -n '/^\[run\]/,/^\[outer\]/{/^\[outer\]/!p}' "$1/federation.toml"; }

# bits RUN MODEL_RUN_FOLDER SITE: bits per byte of a model on 200 windows (25,600 tokens) of a site's held-out text.
bits() { OMP_NUM_THREADS=1 "$concordat" eval "$1/$3/site.toml" --model="$2" --windows=200 --plain | awk '{print $2}'; }

print_table() {
  local run=$1 model site row label best_alone=99 federated mean
  printf '\n%s\n' "Bits per byte on held-out text (lower is better)"
  printf '%-28s %9s %9s %9s %9s\n' "model" "${tongue[de]}" "${tongue[fr]}" "${tongue[es]}" mean
  for model in alba brio cala federated pooled; do
    case $model in
      federated) folder=$run/alba/runs/quickstart label="federated, three sites" ;;
      pooled) folder=$run/pooled/runs/alone label="central, pooled data" ;;
      *) folder=$run/$model/runs/alone label="$model alone (${tongue[${language[$model]}]})" ;;
    esac
    row=()
    for site in "${sites[@]}"; do row+=("$(bits "$run" "$folder" "$site")"); done
    mean=$(awk "BEGIN{printf \"%.4f\", (${row[0]}+${row[1]}+${row[2]})/3}")
    printf '%-28s %9s %9s %9s %9s\n' "$label" "${row[@]}" "$mean"
    case $model in
      federated) federated=$mean ;;
      pooled) pooled=$mean ;;
      *) best_alone=$(awk "BEGIN{print ($mean < $best_alone) ? $mean : $best_alone}") ;;
    esac
  done
  awk "BEGIN{printf \"The federation beats the best site alone by %.4f bits per byte on the mean; pooling the data would give %.4f more.\n\", $best_alone-$federated, $federated-$pooled}"
  printf '\nState digest at every site after the last outer step\n'
  for site in "${sites[@]}"; do
    printf '  %-6s %s\n' "$site" "$(sed -n 's/.*the run is complete.*state //p' "$run/$site/train.log" | tail -n 1)"
  done
  printf '\nLedgers and borders\n'
  "$concordat" audit --roster "$run/roster.json" --agreement "$run/agreement.json" --party "hub=$run/hub" \
    --party "alba=$run/alba" --party "brio=$run/brio" --party "cala=$run/cala" --json "$run/audit.json"
  printf '\nWhere everything lies: %s\n' "$run"
  printf '  %-34s %s\n' 'SITE/runs/quickstart/' 'metrics, checkpoints (HDF5), outbox and inbox' 'SITE/ledger/log.jsonl' 'what was decided and what crossed' \
    'SITE/data/' 'the encrypted corpus' 'hub/' "the coordinator's ledger and journal" 'audit.json' 'the audit, for machines'
  printf '\nNext:\n  %s status %s\n  %s generate %s --prompt="Der Befehl "\n' "$concordat" "$run/alba" "$concordat" "$run/alba/site.toml"
}
