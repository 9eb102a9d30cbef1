#!/usr/bin/env bash
# slurm_scripts_test.sh [FOLDER]: what the batch scripts of slurm/ do at the moments that a real Slurm
# hits once in a thousand jobs: a signal between two commands, a scancel during the last save, a border
# that dies alone. Slurm, the launchers and the program are stood in for; slurm_test.sh has the real ones.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
scripts=${1:-$top/slurm}
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-scripts-XXXXXX")
job=
trap 'status=$?; [ -z "$job" ] || kill -9 "$job" $(cat "$work"/up/* 2>/dev/null) 2>/dev/null || true; [ $status -eq 0 ] && rm -rf "$work" || { tail -n 20 "$work/out" >&2; echo "left in $work" >&2; }' EXIT
passed=0
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { passed=$((passed + 1)); echo "[${SECONDS}s] $*"; }
wait_for() { # wait_for WHAT COMMAND...
  local left=1200 what=$1
  shift
  until "$@" 2>/dev/null; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "waited in vain for: $what"
    sleep 0.1
  done
}

# ---- the stand-ins. A party does what play/COMMAND-SITE says; without one it waits to be told, and saves.
mkdir "$work/bin"
cat >"$work/bin/party" <<'EOT'
#!/bin/bash
# party COMMAND FILE
site=$(dirname "$2") got=
name=$1-$site
folder=$work/$site
[ "$1" != train ] || folder=$work/$site/runs/one
trap 'got=USR1' USR1
trap 'got=TERM' TERM
echo $$ >"$work/up/$name"
is_told() { # whether it was asked to stop; a STOP file is used up
  [ ! -e "$folder/STOP" ] || { rm "$folder/STOP"; got=${got:-STOP}; }
  [ -n "$got" ]
}
told() { until is_told; do sleep 0.05; done; }
await() { until [ -e "$work/$1" ]; do sleep 0.05; done; }
saved() { # as the program: asks to come back if USR1 told it
  [ "$got" != USR1 ] || touch "$folder/REQUEUE"
  exit 75
}
if [ -e "$work/play/$name" ]; then . "$work/play/$name"; fi
told
saved
EOT
cat >"$work/bin/concordat" <<'EOT'
#!/bin/bash
case "$1 $2" in
  'slurm folder')
    case $3 in
      --role=mover) echo "$work/$(dirname "$4")/spool" ;;
      --role=*) echo "$work/$(dirname "$4")" ;;
      *) echo "$work/$(dirname "$3")/runs/one" ;;
    esac ;;
  'slurm launch') exec "${@:3}" ;;
  *) exec "$work/bin/party" "$@" ;;
esac
EOT
cat >"$work/bin/srun" <<'EOT'
#!/bin/bash
while [ "$1" != "$CONCORDAT" ]; do shift; done
exec "$@"
EOT
cp "$work/bin/srun" "$work/bin/mpirun"
cat >"$work/bin/scontrol" <<'EOT'
#!/bin/bash
[ "$1" = show ] || { echo "$*" >>"$work/scontrol"; exit 0; }
echo "JobId=7 $(cat "$work/job") x=y"
EOT
cat >"$work/bin/sbatch" <<'EOT'
#!/bin/bash
touch "$work/queueing"
until [ -e "$work/queue" ]; do sleep 0.05; done
echo 8
EOT
cat >"$work/bin/rsync" <<'EOT'
#!/bin/bash
# Moves finished files, as far as play/rsync lets it.
from=${*: -2:1} to=${*: -1}
[ ! -e "$work/play/rsync" ] || . "$work/play/rsync"
for file in "$from"*.spool; do [ ! -e "$file" ] || mv "$file" "$to"; done
echo "$from" >>"$work/carried"
EOT
printf '#!/bin/bash\necho "$*" >>"$work/scancel"\n' >"$work/bin/scancel"
printf '#!/bin/bash\n' >"$work/bin/squeue"
chmod 755 "$work"/bin/*
export work PATH=$work/bin:$PATH CONCORDAT=$work/bin/concordat
export SLURM_JOB_ID=7 SLURM_NTASKS=1 SLURM_CPUS_PER_TASK=1 SLURM_JOB_END_TIME=4000000000
parties=(hub alba brio cala)

# begin SCRIPT: a job. `debug`: what bash runs before it.
begin() {
  rm -rf "$work"/{up,scontrol,scancel,queueing,out,carried} "$work"/saving* "$work"/go*
  mkdir "$work/up"
  # One-centre scripts name SITE/site.toml, the others site.toml alone.
  sed "s|'site.toml'|'alba/site.toml'|; s|'solo.toml'|'alba/solo.toml'|; s|'coordinator.toml'|'hub/coordinator.toml'|; s|'hub/spool/alba'|'${to:-$work/hub/spool/alba}'|; s|^every=60 |every=${every:-1} |" "$scripts/$1" >"$work/script"
  BASH_ENV=${debug:-} bash "$work/script" >"$work/out" 2>&1 &
  job=$!
}
fresh() { # sites as before their first job, and a job that runs
  rm -rf "${parties[@]/#/$work/}" "$work/play"
  mkdir -p "${parties[@]/#/$work/}" "$work/play"
  touch "$work/queue"
  echo "JobState=RUNNING Reason=None PreemptTime=None" >"$work/job"
}
play() { cat >"$work/play/$1"; } # play COMMAND-SITE <<what it does
up() { for name in "$@"; do [ -s "$work/up/$name" ] || return 1; done; }
# The shell first: a TERM that finds it leaving would end it at once.
everybody() {
  kill "-$signal" "$job"
  for name in "$@"; do kill "-$signal" "$(cat "$work/up/$name")"; done
}
ended() { # ended CODE
  local code=0
  wait_for "the job to end" bash -c "! kill -0 $job"
  wait "$job" || code=$?
  job=
  [ "$code" -eq "$1" ] || fail "$what: exit code $code, expected $1"
}
requeued() { grep -qs '^requeue 7$' "$work/scontrol" || fail "$what: not requeued"; }
stays() { ! grep -qs requeue "$work/scontrol" || fail "$what: it came back"; }
# The last save, in which nothing is looked at any more.
slow_save() { play train-alba <<<'told; touch "$work/saving"; await go; saved'; }
saving() { [ -e "$work/saving" ]; }

for script in train-srun train-mpirun; do
  what="$script, USR1 to the shell"
  fresh
  begin $script.sbatch
  wait_for "$what" up train-alba
  kill -USR1 "$job"
  ended 75
  requeued
  [ "$(stat -c %a "$work/alba/runs/one")" = 700 ] || fail "$what: others may read the run folder"

  what="$script, a scancel during the last save"
  fresh
  slow_save
  begin $script.sbatch
  wait_for "$what" up train-alba
  kill -USR1 "$job"
  wait_for "$what" saving
  kill -TERM "$job"
  touch "$work/go"
  ended 75
  stays
  [ ! -e "$work/alba/runs/one/STOP" ] || fail "$what: its STOP stays"

  for why in 'JobState=RUNNING Reason=None PreemptTime=2026-01-01T00:00:00' 'JobState=COMPLETING Reason=TimeLimit PreemptTime=None'; do
    what="$script, TERM of Slurm itself: $why"
    fresh
    slow_save
    echo "$why" >"$work/job"
    begin $script.sbatch
    wait_for "$what" up train-alba
    kill -USR1 "$job"
    wait_for "$what" saving
    kill -TERM "$job"
    touch "$work/go"
    ended 75
    requeued
  done

  what="$script, a cancelled job's first run"
  fresh
  begin $script.sbatch
  wait_for "$what" up train-alba
  # mpirun is kept from TERM, so its rank hears of it by the STOP file alone.
  signal=TERM
  if [ $script = train-srun ]; then everybody train-alba; else everybody; fi
  ended 75
  stays

  what="$script, told by USR1 before it can listen"
  fresh
  play train-alba <<<'trap - USR1; kill -USR1 $$; sleep 60'
  begin $script.sbatch
  ended 138
  requeued

  what="$script, what an earlier job left"
  fresh
  mkdir -p "$work/alba/runs/one"
  touch "$work/alba/runs/one/REQUEUE"
  echo "job 3" >"$work/alba/runs/one/STOP"
  play train-alba <<<'! is_told || exit 70; exit 75'
  begin $script.sbatch
  ended 75
  stays

  what="$script, a person's STOP"
  fresh
  mkdir -p "$work/alba/runs/one"
  touch "$work/alba/runs/one/STOP"
  play train-alba <<<'is_told || exit 70; saved'
  begin $script.sbatch
  ended 75
  stays
  ok "$script"
done

# ---- with the border in the same script
for wish in REQUEUE nothing; do
  what="a border that ends before its ranks and leaves $wish"
  fresh
  play border-alba <<<"await go; [ $wish = nothing ] || touch \"\$folder/REQUEUE\"; exit 75"
  begin train-mpirun.sbatch
  wait_for "$what" up train-alba border-alba
  touch "$work/go"
  ended 75
  if [ $wish = REQUEUE ]; then requeued; else stays; fi
done
what="a border that fails"
fresh
play border-alba <<<'await go; exit 70'
begin train-mpirun.sbatch
wait_for "$what" up train-alba border-alba
touch "$work/go"
ended 70
stays
ok "a border that ends before its ranks"

# ---- a signal between the start of a program and the line that keeps its number
echo 'trap "[[ \$BASH_COMMAND != child=* && \$BASH_COMMAND != training=\\\$! ]] || kill -USR1 \$\$" DEBUG' >"$work/debug"
debug=$work/debug
for script in border coordinator train-mpirun train-srun; do
  what="$script, USR1 while its program is started"
  fresh
  begin $script.sbatch
  code=0
  wait_for "$what" bash -c "! kill -0 $job"
  wait "$job" || code=$?
  job=
  [ "$code" -eq 75 ] || [ "$code" -eq 138 ] || fail "$what: exit code $code"
  requeued
done
debug=
ok "no signal is lost"

for script in border coordinator; do
  party=border-alba
  [ $script = border ] || party=coordinate-hub
  what="$script, USR1"
  fresh
  begin $script.sbatch
  wait_for "$what" up $party
  kill -USR1 "$job"
  ended 75
  requeued
  what="$script, cancelled during its last turn"
  fresh
  play $party <<<'told; touch "$work/saving"; await go; saved'
  begin $script.sbatch
  wait_for "$what" up $party
  kill -USR1 "$job"
  wait_for "$what" saving
  kill -TERM "$job"
  touch "$work/go"
  ended 75
  stays
done
ok "border and coordinator"

# ---- a chain
dropped() { grep -qx 8 "$work/scancel"; }
what="a chain, USR1"
fresh
begin train-chain.sbatch
wait_for "$what" up train-alba
kill -USR1 "$job"
ended 75
! dropped 2>/dev/null || fail "$what: the next job was taken away"
what="a chain, cancelled: the next job goes at once"
fresh
slow_save
begin train-chain.sbatch
wait_for "$what" up train-alba
signal=TERM everybody train-alba
wait_for "$what" dropped
wait_for "$what" saving
touch "$work/go"
ended 75
what="a chain, preempted"
fresh
echo 'JobState=RUNNING Reason=None PreemptTime=2026-01-01T00:00:00' >"$work/job"
begin train-chain.sbatch
wait_for "$what" up train-alba
signal=TERM everybody train-alba
ended 75
! dropped 2>/dev/null || fail "$what: the next job was taken away"
what="a chain, cancelled while its next job is queued"
fresh
rm "$work/queue"
play train-alba <<<'exit 143'
begin train-chain.sbatch
wait_for "$what" test -e "$work/queueing"
kill -TERM "$job"
touch "$work/queue"
ended 143
dropped || fail "$what: the next job stays"
what="a chain that is done"
fresh
play train-alba <<<'exit 0'
begin train-chain.sbatch
ended 0
dropped || fail "$what: the next job stays"
ok "a chain"

# ---- one centre
all=(coordinate-hub border-alba border-brio border-cala train-alba train-brio train-cala)
what="one centre, a border dies after the last round"
fresh
for site in alba brio cala; do play train-$site <<<'exit 0'; done
play border-brio <<<'await go; exit 70'
begin one-centre-hetjob.sbatch
wait_for "$what" up "${all[@]}"
touch "$work/go"
ended 70
stays
what="one centre, a coordinator that is stopped alone"
fresh
begin one-centre-hetjob.sbatch
wait_for "$what" up "${all[@]}"
touch "$work/hub/STOP"
ended 75
stays
what="one centre, a border whose time is over"
fresh
play border-cala <<<'await go; touch "$folder/REQUEUE"; exit 75'
begin one-centre-hetjob.sbatch
wait_for "$what" up "${all[@]}"
touch "$work/go"
ended 75
requeued
[ -e "$work/alba/runs/one/REQUEUE" ] || fail "$what: the ranks were not told that they come back"
what="one centre, USR1 to the shell, then cancelled"
fresh
slow_save
begin one-centre-hetjob.sbatch
wait_for "$what" up "${all[@]}"
kill -USR1 "$job"
wait_for "$what" saving
kill -TERM "$job"
touch "$work/go"
ended 75
stays
what="one centre, done"
fresh
for name in "${all[@]}"; do play $name <<<'exit 0'; done
begin one-centre-hetjob.sbatch
ended 0
stays
[ -z "$(find "$work" -name STOP)" ] || fail "STOP files stay: $(find "$work" -name STOP)"
ok "one centre"

# ---- a mover
spools() { # both ends, before a mover's first job
  fresh
  mkdir -p "$work"/hub/spool/alba/{up,down} "$work"/alba/spool/{up,down} "$work/alba/runs/one"
}
put() { echo "$2" >"$work/$1"; } # put FILE CONTENT
has() { [ "$(cat "$work/$1")" = "$2" ] || fail "$what: $1 does not have '$2'"; }
carried() { [ "$(wc -l <"$work/carried")" -ge "$1" ]; } # so many ways
says() { grep -q -- "$1" "$work/out"; }
border_says() { echo "{ \"phase\": \"finished\", \"end\": \"$1\" }" >"$work/alba/runs/one/border.json"; }

what="a mover, both ways until the run is over"
spools
put alba/spool/up/a.spool one
put alba/spool/up/b.spool.tmp-7-1 half
put hub/spool/alba/down/c.spool two
border_says saved
begin transfer.sbatch
wait_for "$what" carried 4
has hub/spool/alba/up/a.spool one
has alba/spool/down/c.spool two
[ ! -e "$work/alba/spool/up/a.spool" ] || fail "$what: a file stays where it was"
has alba/spool/up/b.spool.tmp-7-1 half
put alba/spool/up/d.spool three
border_says 'done'
ended 0
has hub/spool/alba/up/d.spool three
stays
[ "$(cd "$work/alba/spool" && echo *)" = 'down up' ] || fail "$what: it leaves something in the spool: $(ls "$work/alba/spool")"

what="a mover, over before it begins"
spools
border_says 'done'
put alba/spool/up/a.spool last
every=3600 begin transfer.sbatch
ended 0
has hub/spool/alba/up/a.spool last

for why in USR1 STOP; do
  what="a mover, $why"
  spools
  every=3600 begin transfer.sbatch
  wait_for "$what" carried 2
  put alba/spool/up/a.spool late
  if [ $why = USR1 ]; then kill -USR1 "$job"; else touch "$work/alba/spool/STOP"; fi
  ended 75
  if [ $why = USR1 ]; then requeued; else stays; fi
  has hub/spool/alba/up/a.spool late
  [ ! -e "$work/alba/spool/STOP" ] || fail "$what: STOP stays"
done

what="a mover, its limit is near"
spools
SLURM_JOB_END_TIME=$(($(date +%s) + 60)) begin transfer.sbatch
ended 75
requeued

for why in 'JobState=RUNNING Reason=None PreemptTime=None' 'JobState=COMPLETING Reason=TimeLimit PreemptTime=None'; do
  what="a mover, TERM: $why"
  spools
  echo "$why" >"$work/job"
  every=3600 begin transfer.sbatch
  wait_for "$what" carried 2
  put hub/spool/alba/down/a.spool late
  kill -TERM "$job"
  ended 75
  has alba/spool/down/a.spool late
  case $why in *TimeLimit*) requeued ;; *) stays ;; esac
done

what="a mover, TERM while a transfer hangs"
spools
play rsync <<<'touch "$work/saving"; exec sleep 3600'
begin transfer.sbatch
wait_for "$what" saving
rm "$work/play/rsync"
kill -TERM "$job"
ended 75
stays

what="a mover, the other end does not answer"
spools
put alba/spool/up/a.spool one
border_says 'done'
play rsync <<<'echo "ssh: no road" >&2; echo "$from" >>"$work/carried"; exit 255'
begin transfer.sbatch
wait_for "$what" carried 6
has alba/spool/up/a.spool one
[ "$(grep -c 'no road' "$work/out")" -eq 2 ] || fail "$what: not said once for each way: $(cat "$work/out")"
says 'alba/spool/up is not carried to .*(rsync: 255)' || fail "$what: not said"
rm "$work/play/rsync"
ended 0
has hub/spool/alba/up/a.spool one
says 'alba/spool/up is carried to .* again' || fail "$what: not said when it is over"

what="a mover between a folder and itself"
spools
put alba/spool/up/a.spool one
ln -s "$work/alba/spool" "$work/hub/link"
to=$work/hub/link begin transfer.sbatch
ended 64
has alba/spool/up/a.spool one
[ ! -e "$work/carried" ] || fail "$what: something was carried"

ok "a mover"

# ---- the Slurm of one machine cancels nothing of another
(
  scancel() { touch "$work/cancelled"; }
  squeue() { :; }
  . "$top/scripts/lib/one-node-slurm.sh"
  slurm_folder=$work/slurm SLURM_CONF=/etc/slurm/slurm.conf
  slurm_stop
  unset SLURM_CONF
  slurm_stop
)
[ ! -e "$work/cancelled" ] || fail "slurm_stop cancels the jobs of another Slurm"
ok "slurm_stop leaves other Slurms alone"
echo "slurm scripts: $passed passed"
