#!/usr/bin/env python3
"""Registers, shared memory and spills of the cuda plug-in's kernels, from what `ptxas -v` says.

  cuda-kernel-table.py LOG            compares LOG (nvcc's output) with the stored table; exit 1 when a
                                      kernel spills, is new, is gone, or needs other registers
  cuda-kernel-table.py LOG --write    stores the table of LOG

The table is src/device/cuda/kernels.table. A compiler of another version may need other registers:
its version stands in the first line, and with another one only spills are wrong.
"""
import pathlib
import re
import subprocess
import sys

TABLE = pathlib.Path(__file__).resolve().parents[1] / "src/device/cuda/kernels.table"


def short(names):
    """Kernel<types> without namespaces and parameters, and the call that launches it as prefix."""
    plain = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout.split("\n")
    result = []
    for name in plain:
        name = re.sub(r"^void ", "", name).replace("concordat::device::cuda::", "").replace("(anonymous namespace)::", "")
        depth, end = 0, len(name)
        for at, letter in enumerate(name):
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0:
                end = at
                break
        result.append(name[:end])
    return result


def rows_of(log):
    """(file, kernel, arch) to (registers, shared bytes, stack bytes, spilled bytes)."""
    found, file, current = {}, "?", None
    for line in log.splitlines():
        source = re.search(r"(\w+)\.cu\.o\b|(\w+)\.cu\b", line)
        if source and not line.startswith("ptxas"):
            file = source.group(1) or source.group(2)
        entry = re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line)
        if entry:
            current = (file, entry.group(1), entry.group(2))
            found[current] = [0, 0, 0, 0]
        frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if frame and current:
            found[current][2] = int(frame.group(1))
            found[current][3] = int(frame.group(2)) + int(frame.group(3))
        used = re.search(r"Used (\d+) registers", line)
        if used and current:
            shared = re.search(r"(\d+) bytes smem", line)
            found[current][0:2] = [int(used.group(1)), int(shared.group(1)) if shared else 0]
    keys = list(found)
    names = short([key[1] for key in keys])
    return {f"{key[0]}/{name} {key[2]}": tuple(found[key]) for key, name in zip(keys, names)}


def version_of(log):
    told = re.search(r"(Build cuda_[\w.]+/compiler[\w.]+)", log)
    return told.group(1) if told else "unknown compiler"


def main():
    log = pathlib.Path(sys.argv[1]).read_text()
    rows, version = rows_of(log), version_of(log)
    if len(rows) < 20:
        sys.exit(f"only {len(rows)} kernels in {sys.argv[1]}: is this nvcc's output with -Xptxas -v?")
    if sys.argv[2:] == ["--write"]:
        lines = [f"# {version}", "# kernel arch: registers, shared bytes, stack bytes, spilled bytes"]
        lines += [f"{name}: {', '.join(map(str, row))}" for name, row in sorted(rows.items())]
        TABLE.write_text("\n".join(lines) + "\n")
        print(f"{len(rows)} kernels stored")
        return
    stored = TABLE.read_text().splitlines()
    same_compiler = stored[0] == f"# {version}"
    expected = {name: tuple(map(int, row.split(", "))) for name, row in
                (line.rsplit(": ", 1) for line in stored if not line.startswith("#"))}
    wrong = [f"{name}: spills {row[3]} bytes" for name, row in rows.items() if row[3] > 0]
    wrong += [f"{name}: new" for name in rows.keys() - expected.keys()]
    wrong += [f"{name}: gone" for name in expected.keys() - rows.keys()]
    if same_compiler:
        wrong += [f"{name}: {rows[name]}, stored {expected[name]}" for name in rows.keys() & expected.keys()
                  if rows[name] != expected[name]]
    for line in sorted(wrong):
        print(line, file=sys.stderr)
    print(f"{len(rows)} kernels, {len(wrong)} wrong" + ("" if same_compiler else f"; {version}, stored {stored[0]}"))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
