#!/usr/bin/env bash
# cuda-toolkit.sh [FOLDER]: what the plug-in needs to compile and link (nvcc, cuBLASLt, NCCL, cuobjdump), from
# NVIDIA's wheels at the versions and digests of cuda-toolkit.txt; neither GPU nor driver nor root. Fetched once:
# 0.9 GB over the network, 1.2 GB in FOLDER. Prints FOLDER, by default one in the user's cache that is named
# after the list. Exit 75: the wheels could not be fetched (no fault of the tree);
# 65: a wheel has other bytes than those listed.
set -euo pipefail
list=$(dirname "$(realpath "$0")")/cuda-toolkit.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/concordat
folder=$(realpath -m "${1:-$cache/cuda-$(sha256sum "$list" | cut -c1-12)}")
if [ -e "$folder/complete" ]; then
  echo "$folder"
  exit 0
fi
mkdir -p "$(dirname "$folder")"
# Beside the folder, so that the last step is a rename: a fetch that broke off leaves no half a toolkit.
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
pip=(python3 -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
  python3 -m venv "$work/venv" >&2 || { echo "cuda-toolkit: python3 has neither pip nor venv" >&2; exit 75; }
  pip=("$work/venv/bin/python" -m pip)
fi
if ! timeout "${CONCORDAT_CUDA_FETCH_SECONDS:-300}" "${pip[@]}" download --quiet --no-deps --only-binary :all: \
  --require-hashes --requirement "$list" --dest "$work/wheels" >"$work/pip.log" 2>&1; then
  cat "$work/pip.log" >&2
  if grep -q 'DO NOT MATCH THE HASHES' "$work/pip.log"; then
    echo "cuda-toolkit: a wheel is not the one of the list" >&2
    exit 65
  fi
  echo "cuda-toolkit: the wheels could not be fetched" >&2
  exit 75
fi
python3 - "$work/wheels" "$work/toolkit" <<'PY'
"""Unpacks the files that a build reads; the wheels' folders nvidia/cu13 and nvidia/nccl become one tree."""
import pathlib
import shutil
import sys
import zipfile

wheels, top = map(pathlib.Path, sys.argv[1:])
NOT_NEEDED = ("libcublas.so", "libnvblas", "nvblas", "libnccl_device")
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            parts = entry.filename.split("/")
            if parts[0] != "nvidia" or entry.is_dir() or parts[-1].startswith(NOT_NEEDED):
                continue
            target = top.joinpath(*(parts[1:] if parts[1] == "nccl" else parts[2:]))
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if "bin" in parts:
                target.chmod(0o755)
# Linkers and CMake look for lib64 and for names without a version.
for library in top.rglob("*.so.*"):
    library.with_name(library.name.split(".so.")[0] + ".so").symlink_to(library.name)
(top / "lib64").symlink_to("lib")
(top / "complete").touch()
PY
mv -T "$work/toolkit" "$folder" 2>/dev/null || [ -e "$folder/complete" ] # another build may have been faster
echo "$folder"
