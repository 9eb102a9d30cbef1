# Sourced by tests and examples: a real Slurm on this machine, for the one who calls and nobody else.
# munged, slurmctld and a slurmd for each virtual node run as this user, on the loopback, with all
# their files in one folder; nothing under /etc is read or written.
#
#   slurm_start FOLDER        starts the daemons, sets SLURM_CONF, returns when all nodes are idle; where they
#                             run already, as from another shell, it only sets SLURM_CONF
#   slurm_stop                cancels what is left and ends the daemons; the folder stays
#
# Nodes n1 to n4 (the parts of a heterogeneous job get nodes of their own). Partitions: wide (all; the default), north (n1), south (n2 and n3), and urgent
# (all; its jobs preempt those of the others, which are told by their own --signal 60 s before).
# One host plays all nodes, so MPI jobs over two of them must use TCP: slurm_env sets that.

slurm_nodes=(n1 n2 n3 n4)

slurm_alive() { # slurm_alive PID_FILE: a live daemon of ours, no zombie and no reused pid
  local state
  [ -s "$1" ] && state=$(ps -o stat=,comm= -p "$(cat "$1")" 2>/dev/null) || return 1
  [[ $state != Z* && $state =~ (munged|slurm) ]]
}

# Consecutive ports: the controller's, then one for each node.
slurm_ports() {
  local first port taken
  while :; do
    first=$((20000 + RANDOM % 9000)) taken=no
    for port in $(seq "$first" $((first + ${#slurm_nodes[@]}))); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then taken=yes; fi
    done
    [ "$taken" = yes ] || { echo "$first"; return; }
  done
}

slurm_write_conf() { # slurm_write_conf FOLDER
  local d=$1 me host port i node
  me=$(id -un) host=$(hostname -s) port=$(slurm_ports)
  mkdir -p "$d"/{state,log,munge}
  (umask 077 && head -c 128 /dev/urandom >"$d/munge/munge.key")
  {
    cat <<CONF
ClusterName=concordat
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until its old credential has expired: two minutes unless said otherwise.
AuthInfo=socket=$d/munge/munge.socket,cred_expire=5
StateSaveLocation=$d/state
SlurmdSpoolDir=$d/spool-%n
# srun keeps its PMIx files here; in one folder those of two nodes would collide.
TmpFS=$d/tmp-%n
SlurmctldPidFile=$d/slurmctld.pid
SlurmdPidFile=$d/slurmd-%n.pid
SlurmctldLogFile=$d/log/slurmctld.log
SlurmdLogFile=$d/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0,sched_interval=2
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
MpiDefault=none
JobRequeue=1
KillWait=60
MinJobAge=3600
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
SlurmdParameters=config_overrides
CONF
    for i in "${!slurm_nodes[@]}"; do
      node=${slurm_nodes[i]}
      mkdir -p "$d/spool-$node" "$d/tmp-$node"
      echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + i)) CPUs=16 RealMemory=4000 State=UNKNOWN"
    done
    local plain="PriorityTier=1 GraceTime=60 MaxTime=INFINITE State=UP"
    echo "PartitionName=wide Nodes=ALL Default=YES $plain"
    echo "PartitionName=north Nodes=n1 $plain"
    echo "PartitionName=south Nodes=n2,n3 $plain"
    echo "PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP"
  } >"$d/slurm.conf"
}

# What a job on virtual nodes needs besides; a real cluster needs none of it.
slurm_env() {
  export SLURM_CONF=$slurm_folder/slurm.conf
  export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo
}

slurm_start() {
  local left node
  slurm_folder=$(realpath -m "$1")
  PATH=$PATH:/usr/sbin:/sbin
  if slurm_alive "$slurm_folder/slurmctld.pid"; then
    slurm_env
    return 0
  fi
  for node in munged slurmctld slurmd; do
    command -v "$node" >/dev/null || { echo "no $node here: install slurm-wlm and munge" >&2; return 1; }
  done
  slurm_write_conf "$slurm_folder"
  slurm_env
  # --force: a folder below /tmp is not safe enough by munge's rules; the key is this run's own.
  munged --force --key-file="$slurm_folder/munge/munge.key" --socket="$slurm_folder/munge/munge.socket" \
    --pid-file="$slurm_folder/munge/munged.pid" --log-file="$slurm_folder/munge/munged.log" \
    --seed-file="$slurm_folder/munge/munged.seed" 2>"$slurm_folder/munge/munged.err" ||
    { cat "$slurm_folder/munge/munged.err" >&2; return 1; }
  slurmctld -c
  for node in "${slurm_nodes[@]}"; do slurmd -N "$node"; done
  for left in $(seq 480); do
    [ "$(sinfo -h -N -p urgent -o %T 2>/dev/null | grep -c '^idle$')" -ne "${#slurm_nodes[@]}" ] || return 0
    sleep 0.5
  done
  echo "the nodes of the test's Slurm did not become idle:" >&2
  sinfo >&2 || true
  tail -n 15 "$slurm_folder"/log/*.log >&2
  return 1
}

slurm_stop() {
  # Anywhere else it would cancel the caller's jobs of a real cluster.
  [ -n "${slurm_folder:-}" ] && [ "${SLURM_CONF:-}" = "$slurm_folder/slurm.conf" ] || return 0
  local file pid left
  scancel --user="$(id -un)" 2>/dev/null || true
  for left in $(seq 100); do
    [ -n "$(squeue -h -t RUNNING,COMPLETING 2>/dev/null)" ] || break
    sleep 0.2
  done
  for file in "$slurm_folder"/slurmd-*.pid "$slurm_folder/slurmctld.pid" "$slurm_folder/munge/munged.pid"; do
    slurm_alive "$file" || continue
    pid=$(cat "$file")
    cp "$file" "$file.ending" # a daemon removes its own
    kill "$pid" 2>/dev/null || true
    for left in $(seq 50); do
      slurm_alive "$file.ending" || break
      sleep 0.2
    done
    ! slurm_alive "$file.ending" || kill -9 "$pid" 2>/dev/null || true
    rm -f "$file.ending"
  done
}
