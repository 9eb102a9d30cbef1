# Sourced by the scripts: finds what is missing and installs it, or says what to ask for.
#
#   concordat_setup program     what the program needs to build and run
#   concordat_setup quickstart  also what the quickstart's corpora need
#   concordat_setup tests       also what the tests need

concordat_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

program_packages=(g++ cmake ninja-build pkg-config libopenmpi-dev openmpi-bin libhdf5-dev libboost-dev
  libboost-program-options-dev libssl-dev libdnnl-dev libtomlplusplus-dev nlohmann-json3-dev
  libspdlog-dev libfmt-dev libsentencepiece-dev)
quickstart_packages=(groff-base procps)
policy_file=/usr/sbin/policy-rc.d
test_packages=(libgtest-dev clang-format clang-tidy libomp-dev python3 python3-venv python3-h5py openssl git groff-base procps slurm-wlm munge rsync)

concordat_missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done
}

concordat_explain_missing() {
  cat >&2 <<EOT
These packages are missing and this user cannot install them:
  $*

Ask for them, or load them, under one of these names:
  Debian, Ubuntu   apt-get install $*
  Modules          module load gcc/12 cmake/3.25 ninja openmpi/4.1 hdf5/1.10 boost/1.74 openssl/3 onednn/2.6
  Spack            spack install cmake ninja openmpi hdf5~mpi boost+program_options openssl@3: onednn tomlplusplus nlohmann-json spdlog

Without Debian's package tools, load the modules and say so:
  CONCORDAT_SKIP_SETUP=1 $0
EOT
}

concordat_setup() {
  [ "${CONCORDAT_SKIP_SETUP:-}" = 1 ] && return 0
  local wanted=("${program_packages[@]}") missing
  [ "$1" = program ] || wanted+=("${quickstart_packages[@]}")
  [ "$1" = tests ] && wanted+=("${test_packages[@]}")
  if ! command -v dpkg-query >/dev/null; then
    concordat_explain_missing "${wanted[@]}"
    return 1
  fi
  mapfile -t missing < <(concordat_missing "${wanted[@]}")
  [ "${#missing[@]}" -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      concordat_explain_missing "${missing[@]}"
      return 1
    fi
  fi
  echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
  # Packages of daemons must not start them: tests bring up their own, in a folder. The policy goes
  # again however the installation ends.
  (
    if [[ " ${missing[*]} " == *" munge "* ]] && [ ! -e "$policy_file" ]; then
      trap '"${as_root[@]}" rm -f "$policy_file"' EXIT
      printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy_file" >/dev/null &&
        "${as_root[@]}" chmod 755 "$policy_file" || exit 1
    fi
    "${as_root[@]}" apt-get update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" </dev/null >/dev/null
  )
}

# Seconds since the script began, for progress lines.
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

# One machine, several sites: ranks must neither bind to one core nor spin (docs/running.md).
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_base_warn_component_unused=0
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
