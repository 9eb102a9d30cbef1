#!/usr/bin/env python3
"""Plants one bug after the other in the cuda plug-in and looks whether its tests catch it.

  cuda-mutants.py BUILD [WORD]     BUILD: a configured build folder, such as build/dev;
                                   WORD: only the bugs whose line contains it

The bugs are in tests/support/cuda_emulator/mutants.txt, a line each: FILE | TEXT | REPLACEMENT | what it is.
FILE is one of src/device/cuda, or with a folder one of src, whose bugs are for unit_train_graphs. TEXT stands exactly
once in FILE. The file is put back in any case. Exit 1 if a bug lives.
"""
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
SOURCES = TOP / "src/device/cuda"
DEVICE = "tests/unit/device/cuda/unit_device_cuda"
GRAPHS = "tests/unit/train/unit_train_graphs"
# A bug may leave a name without use, which is an error elsewhere.
LENIENT = "".join(f'#pragma GCC diagnostic ignored "-Wunused-{name}"\n' for name in ("parameter", "variable", "but-set-variable"))


def caught_by(build, program):
    """Names of the first tests that fail; empty: none. A build that fails is an error of the list."""
    made = subprocess.run(["cmake", "--build", build, "--target", program.rsplit("/", 1)[1]], capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit("a planted bug does not compile:\n" + made.stdout[-2000:])
    settings = {"OMP_NUM_THREADS": "1",
                "CONCORDAT_CUDA_PLUGIN": f"{build}/tests/support/cuda_emulator/libconcordat_cuda_plugin_emulated.so"}
    if program == GRAPHS:
        settings["CUDA_EMULATOR_DEVICES"] = "6"
    try:
        done = subprocess.run([f"{build}/{program}", "--gtest_brief=1", "--gtest_fail_fast"], capture_output=True, text=True,
                              timeout=120, env=os.environ | settings)
    except subprocess.TimeoutExpired:
        return "it hangs"
    failed = re.findall(r"^\[  FAILED  \] (\S+?)(?:,| \(|$)", done.stdout, re.M)
    if done.returncode != 0 and not failed:
        return f"the program ends with {done.returncode}"
    return failed[0] if failed else ""


def main():
    build = sys.argv[1]
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    # Tests that fail without a bug would catch every bug.
    for program in (DEVICE, GRAPHS):
        if found := caught_by(build, program):
            sys.exit(f"{program} fails with no bug planted: {found}")
    alive = count = 0
    for line in (TOP / "tests/support/cuda_emulator/mutants.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#") or only not in line:
            continue
        name, text, replacement, what = (part.strip(" ").replace("\\n", "\n") for part in line.split(" | "))
        ours = "/" not in name
        path = (SOURCES if ours else TOP / "src") / name
        program = DEVICE if ours else GRAPHS
        original = path.read_text()
        if original.count(text) != 1:
            sys.exit(f"{name}: '{text}' stands there {original.count(text)} times")
        count += 1
        try:
            path.write_text(LENIENT + original.replace(text, replacement))
            found = caught_by(build, program)
        finally:
            path.write_text(original)
        alive += not found
        print(f"{'ALIVE ' if not found else 'caught'} {name}: {what}" + (f" ({found})" if found else ""), flush=True)
    subprocess.run(["cmake", "--build", build, "--target", "unit_device_cuda", "unit_train_graphs"], capture_output=True)
    print(f"{count} bugs planted, {alive} not caught")
    sys.exit(1 if alive or count == 0 else 0)


if __name__ == "__main__":
    main()
