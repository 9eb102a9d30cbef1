#!/usr/bin/env bash
# mpirun.sh RANKS PROGRAM [ARG...]: starts a test under mpirun, safely on a small shared machine.
set -eu
ranks=$1
shift
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
exec mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 \
  --mca btl_base_warn_component_unused 0 --mca btl_vader_single_copy_mechanism none \
  -n "$ranks" "$@"
