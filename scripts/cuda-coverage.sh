#!/usr/bin/env bash
# cuda-coverage.sh [LEAST]: which lines of the cuda plug-in unit_device_cuda reaches on the emulated
# CUDA, a file a line (with the first lines missed) and in total; exit 1 below LEAST percent (90). Builds in build/cuda-coverage, where the
# plug-in's sources alone are instrumented.
set -euo pipefail
least=${1:-90}
cd "$(dirname "$0")/.."
build=build/cuda-coverage
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCONCORDAT_CUDA_COVERAGE=ON >/dev/null
ninja -C $build unit_device_cuda >$build/build.log || { tail -20 $build/build.log; exit 1; }
find $build -name '*.gcda' -delete
ctest --test-dir $build -R '^unit_device_cuda(_full)?$' --output-on-failure >$build/test.log || { tail -40 $build/test.log; exit 1; }
python3 - "$build" "$least" <<'PY'
import collections
import json
import pathlib
import subprocess
import sys

build, least = pathlib.Path(sys.argv[1]), float(sys.argv[2])
sources = pathlib.Path("src/device/cuda").resolve()
lines = collections.defaultdict(lambda: collections.defaultdict(int))  # file, line: times
for data in sorted(build.rglob("*.gcda")):
    told = subprocess.run(["gcov", "--json-format", "--stdout", str(data)], capture_output=True, text=True, check=True)
    for document in told.stdout.splitlines():
        for file in json.loads(document)["files"]:
            path = pathlib.Path(file["file"]).resolve()
            if path.parent != sources:
                continue
            for line in file["lines"]:  # one for each instance of a template
                lines[path.name][line["line_number"]] += line["count"]
reached = total = 0
for name, counts in sorted(lines.items()):
    hit = sum(times > 0 for times in counts.values())
    reached, total = reached + hit, total + len(counts)
    missed = [number for number, times in sorted(counts.items()) if times == 0]
    print(f"{name:28} {hit:4} of {len(counts):4} {100 * hit / len(counts):6.1f} %  {' '.join(map(str, missed[:20]))}")
if total < 500:
    sys.exit(f"only {total} lines: is this the plug-in?")
share = 100 * reached / total
print(f"{'all':28} {reached:4} of {total:4} {share:6.1f} %")
sys.exit(share < least)
PY
