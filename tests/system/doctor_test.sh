#!/usr/bin/env bash
# doctor_test.sh: a healthy site passes; each thing that is broken on purpose is named, with its
# remedy and the exit code that goes with it. Alone, under mpirun, and in a federation.
. "$(dirname "$0")/solo_site.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-doctor-XXXXXX")
hub=
trap 'status=$?; [ -z "$hub" ] || end_all "$hub"
  [ $status -eq 0 ] && rm -rf "$work" || echo "left in $work" >&2' EXIT
passed=0
export OMP_WAIT_POLICY=passive

# doctor EXIT_CODE WHAT ARGUMENT...: the report is in $work/report.
doctor() {
  local wanted=$1 what=$2 code=0
  shift 2
  "$concordat" doctor "$@" --disk-mib=4 >"$work/report" 2>"$work/err" || code=$?
  [ "$code" -eq "$wanted" ] || fail "$what: exit code $code, expected $wanted: $(cat "$work/report" "$work/err")"
  passed=$((passed + 1))
}
# says LEVEL TOPIC TEXT [REMEDY]: a finding, and the remedy on the line below it.
says() {
  awk -v level="$1" -v topic="$2" -v text="$3" -v remedy="${4:-}" '
    found && !done { if (remedy == "" || (index($0, "remedy: ") && index($0, remedy))) done = 1; found = 0 }
    !done && $1 == level && $2 == topic && index($0, text) { if (remedy == "") done = 1; else found = 1 }
    END { exit !done }' "$work/report" || fail "no '$1 $2 $3' with remedy '${4:-}' in: $(cat "$work/report")"
}

make_solo "$work" <<'EOF'
[run]
name = "first"
[model]
width = 32
layers = 2
heads = 2
kv_heads = 2
ffn = 64
[inner]
length = 32
EOF

# ---- a healthy site, alone
doctor 0 "a healthy site" "$work/site.toml"
for topic in program config mpi threads fabric files clock keys data reach rates; do
  grep -qE "^(ok|warn) +$topic " "$work/report" || fail "no finding on $topic in: $(cat "$work/report")"
done
! grep -q '^FAIL' "$work/report" || fail "a healthy site fails: $(cat "$work/report")"
says ok files 'exclusive creation, rename over a file, link and fsync work'
says ok files 'HDF5 creates, locks and reads a file there'
says ok files 'a role lock is seen by another process'
says ok data 'dataset texts: the manifest verifies'
says ok rates 'matrix products in fp32'
tail -n 1 "$work/report" | grep -qE '^doctor: [0-9]+ findings, 0 FAIL, ' || fail "no summary: $(tail -n 1 "$work/report")"
[ -z "$(find "$work/alba" -name '.concordat-doctor*')" ] || fail "the doctor left something behind"
[ ! -e "$work/alba/runs" ] || fail "the doctor made a run folder"

doctor 0 "the machine alone" --skip=rates
says ok config 'none given'
doctor 0 "for machines" "$work/site.toml" --json --skip=rates
python3 - "$work/report" <<'EOF'
import json, sys
page = json.load(open(sys.argv[1]))
assert page["format"] == "concordat-doctor-1" and page["exit"] == 0 and page["fail"] == 0, page
assert any("write_bytes_per_s" in f["figures"] for f in page["findings"]), page
assert all(bool(f["remedy"]) == (f["level"] != "ok") for f in page["findings"]), page
EOF

# ---- what is broken on purpose
mkdir -p "$work/alba/runs/first"
chmod 777 "$work/alba/runs/first"
doctor 65 "an open run folder" "$work/site.toml" --only=files
says FAIL files 'mode 0777' 'chmod 0700'
chmod 700 "$work/alba/runs/first"
doctor 0 "a private run folder" "$work/site.toml" --only=files
doctor 65 "a fast tier that is nowhere" "$work/site.toml" --only=files "--checkpoint.fast=$work/scratch"
says FAIL files 'scratch is not there on this node' 'create it on every node'
mkdir "$work/scratch"
doctor 0 "a fast tier" "$work/site.toml" --only=files "--checkpoint.fast=$work/scratch"
says ok files 'fast tier'
[ -z "$(ls -A "$work/scratch")" ] || fail "the doctor left something in the fast tier"
OMP_NUM_THREADS=5000 doctor 0 "too many threads" "$work/site.toml" --only=threads
says warn threads 'OMP_NUM_THREADS = 5000' 'set OMP_NUM_THREADS and train.threads to at most'
NCCL_ALGO=Ring doctor 0 "a tuning variable" --only=fabric
says warn fabric 'NCCL_ALGO=Ring' 'keep them out of scripts'
chmod 640 "$work/alba/keys/data.key"
doctor 65 "an open key" "$work/site.toml" --only=keys,data
says FAIL keys 'data.key' 'chmod 0600'
says warn data 'not checked'
chmod 600 "$work/alba/keys/data.key"
doctor 65 "a dataset that is not there" "$work/site.toml" --only=data --data.datasets=other
says FAIL data 'there is no dataset of this name' 'ingest'
doctor 65 "no such file" "$work/none.toml" --only=config
says FAIL config none.toml 'check the spelling'
doctor 65 "a key that is none" "$work/site.toml" --only=config --train.thread=2
says FAIL config train.thread
doctor 64 "a topic that is none" --only=weather
grep -q 'core.usage' "$work/err" || fail "no usage error: $(cat "$work/err")"

# ---- tasks of srun that were not joined: the first one speaks, before MPI is started
SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=4 doctor 65 "srun without pmix" --only=mpi
says FAIL mpi '4 tasks without PMIx' 'srun --mpi=pmix'
! grep -q 'thread level' "$work/report" || fail "MPI is spoken of that was not started: $(cat "$work/report")"
SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=4 doctor 65 "another task of it" --only=mpi
[ ! -s "$work/report" ] || fail "all tasks speak: $(cat "$work/report")"

# ---- two ranks
doctor 0 "a layout for two ranks, looked at by one" "$work/site.toml" --only=mpi --layout.tp=2
code=0
launch 2 doctor "$work/site.toml" --disk-mib=4 --skip=rates >"$work/report" 2>"$work/err" || code=$?
[ "$code" -eq 0 ] || fail "two ranks: exit code $code: $(cat "$work/report" "$work/err")"
says ok mpi '2 ranks, started by mpirun'
says ok mpi 'all-reduce over 2 ranks on 1 host: 1 KiB'
says ok mpi '2 ranks can train so: '
says ok files "all ranks see rank 0's files and locks"
says ok clock "the ranks' clocks"
[ "$(grep -c '^doctor: ' "$work/report")" -eq 1 ] || fail "more than one rank reports"
chmod 777 "$work/alba/runs/first"
code=0
launch 2 doctor "$work/site.toml" --only=files --disk-mib=4 >"$work/report" 2>"$work/err" || code=$?
[ "$code" -eq 65 ] || fail "two ranks, an open run folder: exit code $code, expected 65"
says FAIL files 'mode 0777' 'chmod 0700'
passed=$((passed + 2))

# ---- a federation: the road to the coordinator
make_template "$work/federation"
fresh_copy "$work/federation" "$work/run"
site=$work/run/alba/site.toml
free=$(free_port)
doctor 65 "nobody listens" "$site" --only=keys,reach
says ok keys 'every signature verifies'
says ok keys 'the keys here are those of alba (site 0)'
says FAIL reach 'refused' "'concordat coordinate' runs"
doctor 0 "a coordinator before its start" "$work/run/hub/coordinator.toml"
says ok reach 'is free to listen on'
says ok keys 'the keys here are those of hub (coordinator)'
start_coordinator "$work/run" &
hub=$!
for _ in $(seq 300); do grep -q 'listens on' "$work/run/hub/log" 2>/dev/null && break; sleep 0.1; done
doctor 0 "a coordinator that answers" "$site" --only=keys,reach
says ok reach 'the coordinator answers this site'
doctor 0 "a coordinator that runs" "$work/run/hub/coordinator.toml" --only=keys,reach
says ok reach 'the coordinator runs: role=coordinator'
doctor 65 "a wrong port" "$site" --only=keys,reach "--federation.address=127.0.0.1:$free"
says FAIL reach 'refused' 'check the port in federation.address'
doctor 65 "a name that nobody has" "$site" --only=reach --federation.address=nobody.invalid:7443
says FAIL reach 'nobody.invalid is not known here' 'DNS'
# ---- the road spool: folders instead of an address, at both ends
spooled=(--only=reach --federation.road=spool --federation.address=nobody.invalid:7443)
doctor 0 "a spool that is not there yet" "$site" "${spooled[@]}"
says ok reach 'alba/spool is not there yet, where it will be made: files can be written, synced and renamed'
! grep -q 'nobody.invalid' "$work/report" || fail "an address is dialled on the road spool: $(cat "$work/report")"
[ ! -e "$work/run/alba/spool" ] || fail "the doctor made a spool"
mkdir -p "$work/run/alba/spool"/{up,down}
echo sealed >"$work/run/alba/spool/up/1.spool"
doctor 0 "a file that waits for the mover" "$site" "${spooled[@]}"
says ok reach 'up 1 file, 7 B'
touch -d '20 minutes ago' "$work/run/alba/spool/up/1.spool"
doctor 0 "a mover that does not come" "$site" "${spooled[@]}"
says warn reach 'nobody has carried up/ on' 'concordat slurm init --role=mover'
rm -r "$work/run/alba/spool"
echo file >"$work/run/alba/spool"
doctor 65 "a file in the spool's place" "$site" "${spooled[@]}"
says FAIL reach 'cannot be used: a file lies where the folder would be made' 'choose another folder'
rm "$work/run/alba/spool"
doctor 0 "a coordinator with a spool beside its address" "$work/run/hub/coordinator.toml" --only=keys,reach "--coordinator.spool=$work/run/hub/spool"
says ok reach "the spool of brio $work/run/hub/spool/brio is not there yet"
says ok reach 'the coordinator runs: role=coordinator'
doctor 0 "a coordinator with spools alone" "$work/run/hub/coordinator.toml" --only=reach --federation.road=spool
says ok reach 'the spool of cala '
! grep -q 'the coordinator runs' "$work/report" || fail "an address is looked at where there is none: $(cat "$work/report")"

# ---- the mpi road: all parties in one mpirun, and no address that anybody dials
doctor 65 "a roster without the mpi road" "$site" --only=reach,mpi --road=mpi --federation.address=nobody.invalid:7443
says FAIL reach 'the roster does not allow that road' 'roster create --allow-mpi-road'
! grep -q 'nobody.invalid' "$work/report" || fail "an address is dialled on the mpi road: $(cat "$work/report")"
members=()
for name in "${sites[@]}"; do members+=(--site "$work/run/$name/keys/$name.pub=${language[$name]^^}"); done
"$concordat" roster create --name three-seas --address "127.0.0.1:$free" --coordinator "$work/run/hub/keys/hub.pub" \
  "${members[@]}" --allow-mpi-road --out "$work/road.json" >/dev/null
for name in hub "${sites[@]}"; do "$concordat" roster sign "$work/road.json" --keys "$work/run/$name/keys" >/dev/null; done
road=(--road=mpi "--federation.roster=$work/road.json" --disk-mib=4 --skip=rates,keys)
# one_mpirun CODE WHAT [WITHOUT]: the doctor as every party of the federation, but for one.
one_mpirun() {
  local code=0 name parts=(-n 1 "$concordat" doctor "$work/run/hub/coordinator.toml" "${road[@]}")
  for name in "${sites[@]}"; do
    [ "$name" = "${3:-}" ] || parts+=(: -n 1 "$concordat" doctor "$work/run/$name/site.toml" "${road[@]}")
    parts+=(: -n "${ranks[$name]}" "$concordat" doctor "$work/run/$name/site.toml" "${road[@]}" --train.batch=4 --train.micro_batch=2)
  done
  OMP_NUM_THREADS=1 mpirun --bind-to none --oversubscribe --mca mpi_yield_when_idle 1 "${parts[@]}" >"$work/report" 2>"$work/err" || code=$?
  [ "$code" -eq "$1" ] || fail "$2: exit code $code, expected $1: $(cat "$work/report" "$work/err")"
  passed=$((passed + 1))
}
one_mpirun 0 "all parties in one mpirun"
says ok mpi '9 ranks, started by mpirun'
says ok mpi 'all parties are in this mpirun: coordinator hub, border of alba, 1 rank of alba, border of brio, 2 ranks of brio'
says ok mpi 'ranks of brio: 2 ranks can train so: '
says ok reach 'border of cala: the road is the mpirun'
says ok files "ranks of brio: all ranks see rank 0's files and locks"
says ok threads '9 ranks on'
[ "$(grep -c '^doctor: ' "$work/report")" -eq 1 ] || fail "more than one report: $(cat "$work/report")"
# Without its border a site's first rank is taken for it.
one_mpirun 65 "a border is missing" brio
says FAIL mpi 'ranks of brio: '
mv "$work/run/alba/keys" "$work/run/alba/own"
"$concordat" keys create --name alba --folder "$work/run/alba/keys" >/dev/null
doctor 65 "foreign keys" "$site" --only=keys,reach
says FAIL keys 'alba'
says FAIL reach 'TLS with' "refuses this site's key"
echo "doctor: $passed passed"
