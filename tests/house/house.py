#!/usr/bin/env python3
"""The rules of the house, held by tests (docs/architecture.md).

house.py floors   no file includes a header of a floor above its own, or of a neighbour on its floor
house.py roads    only the mpi road's files name the Interlink between parties
house.py heavy    heavy headers are included only in the files of heavy_headers.txt
house.py headers  each public header compiles alone
house.py sizes    file sizes: median, nine in ten, largest; caps are refused
house.py words    no to-do marks, no machine paths, no printing from libraries
house.py keys     messages name configuration keys that exist
house.py inputs   codes, exit codes and tests in docs/bad-input.md exist
"""
import concurrent.futures
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOORS = [["core"], ["comm", "crypto", "observe", "exact"], ["parallel", "ledger", "device", "data"],
          ["model", "checkpoint", "border", "privacy"], ["federation", "train", "governance"],
          ["site", "coordinator", "audit"], ["cli"]]
FLOOR_OF = {area: number for number, areas in enumerate(FLOORS) for area in areas}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
HEAVY = {"asio": r"boost/asio", "toml++": r"toml\+\+", "nlohmann": r"nlohmann/", "spdlog": r"spdlog/",
         "oneDNN": r"(oneapi/)?dnnl", "HDF5": r"hdf5\.h|H5.*\.h", "MPI": r"mpi\.h", "OpenSSL": r"openssl/",
         "program_options": r"boost/program_options"}
SOURCE_CAP = 1000


def sources(*roots):
    for root in roots:
        for path in sorted((TOP / root).rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".cu", ".cuh"):
                yield path


def area_of(path):
    parts = path.relative_to(TOP).parts
    return parts[2] if parts[0] == "include" else parts[1]


def floors():
    """Every include of another area goes down."""
    wrong = []
    for path in sources("include", "src"):
        area = area_of(path)
        if area not in FLOOR_OF:
            wrong.append(f"{path}: area {area} stands on no floor")
            continue
        for name in INCLUDE.findall(path.read_text()):
            found = re.match(r"(?:concordat/)?(\w+)/", name)
            other = found.group(1) if found else None
            if other in FLOOR_OF and other != area and FLOOR_OF[other] >= FLOOR_OF[area]:
                wrong.append(f"{path.relative_to(TOP)}: floor {FLOOR_OF[area]} ({area}) includes {name} "
                             f"of floor {FLOOR_OF[other]}")
            if other in FLOOR_OF and other != area and not name.startswith("concordat/"):
                wrong.append(f"{path.relative_to(TOP)}: includes {name}, a private header of {other}")
    return wrong


def roads():
    """The Interlink, which reaches other parties' processes, is named only where the mpi road is made."""
    allowed = re.compile(r"(src/comm/|src/border/mpi_|src/cli/one_mpirun\.|include/concordat/comm/"
                         r"|include/concordat/border/mpi_road\.hpp)")
    wrong, named = [], 0
    for path in sources("include", "src"):
        relative = str(path.relative_to(TOP))
        if not re.search(r"\bInterlink\b|comm/interlink\.hpp", path.read_text()):
            continue
        named += 1
        if not allowed.match(relative):
            wrong.append(f"{relative}: names the Interlink; only src/comm/, src/border/mpi_* and "
                         f"src/cli/one_mpirun.* may")
    return wrong if named else ["nobody names the Interlink: the rule looks for the wrong word"]


def heavy():
    """Heavy headers are in no public header and only in listed sources."""
    listed = {}
    for line in (TOP / "tests/house/heavy_headers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            library, path = line.split()
            listed.setdefault(library, set()).add(path)
    wrong, used = [], set()
    for path in sources("include", "src"):
        relative = str(path.relative_to(TOP))
        for name in INCLUDE.findall(path.read_text()):
            for library, pattern in HEAVY.items():
                if re.match(pattern, name):
                    used.add((library, relative))
                    if relative not in listed.get(library, ()):
                        wrong.append(f"{relative}: includes {name} ({library}) and is not in heavy_headers.txt")
    for library, paths in listed.items():
        wrong += [f"heavy_headers.txt: {path} no longer includes {library}"
                  for path in paths if (library, path) not in used]
    return wrong


def reached(name, texts, known):
    """Everything that a header includes, itself too; the system's headers end there."""
    if name not in known:
        known[name] = {name}.union(*(reached(other, texts, known) for other in INCLUDE.findall(texts.get(name, ""))))
    return known[name]


def prefixes(texts, count=10):
    """For each public header the public header that it is compiled behind, or None. It is one that it includes
    anyway, so what it lacks is still missing; it saves parsing the same system headers 200 times."""
    known = {}
    every = {name: reached(name, texts, known) for name in texts}
    behind = dict.fromkeys(texts)

    def gain(name, prefix):
        return max(0, len(every[prefix]) - len(every.get(behind[name], ())))

    for _ in range(count):
        users = {prefix: [name for name in texts if prefix != name and prefix in every[name] and gain(name, prefix)]
                 for prefix in texts}
        best = max(texts, key=lambda prefix: sum(gain(name, prefix) for name in users[prefix]))
        behind.update(dict.fromkeys(users[best], best))
    return behind


def compiles(name, compiler, folder, behind=None, output=None):
    command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fopenmp", f"-I{TOP}/include",
               *(["-include", f"{folder}/{behind}"] if behind else []),
               *(["-x", "c++-header", "-o", f"{folder}/{output}.gch"] if output else ["-fsyntax-only", "-x", "c++"]),
               f"{TOP}/include/{name}"]
    # A header as main file would warn about its own pragma once.
    command.insert(1, "-Wno-pragma-once-outside-header" if "clang" in compiler else "-w")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return None if done.returncode == 0 else f"{name} does not compile alone:\n{done.stderr}"


def headers():
    compiler = sys.argv[2] if len(sys.argv) > 2 else "c++"
    texts = {str(path.relative_to(TOP / "include")): path.read_text() for path in sources("include")}
    behind = prefixes(texts) if "clang" not in compiler else dict.fromkeys(texts)
    made = sorted({prefix for prefix in behind.values() if prefix})
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for prefix in made:
            (pathlib.Path(folder) / prefix).parent.mkdir(parents=True, exist_ok=True)
        # A prefix is itself compiled with nothing before it.
        results = list(pool.map(lambda name: compiles(name, compiler, folder, output=name), made))
        if not any(results):
            rest = [name for name in texts if name not in made]
            results += pool.map(lambda name: compiles(name, compiler, folder, behind[name]), rest)
    print(f"{len(results)} headers, {len(made)} of them precompiled for the others")
    return [result for result in results if result]


def sizes():
    """House style: median near 100 lines, nine in ten under 400, none over the cap."""
    lines = {path: len(path.read_text().splitlines()) for path in sources("include", "src")}
    counts = sorted(lines.values())
    median, ninth = statistics.median(counts), counts[int(len(counts) * 0.9)]
    tests = sum(len(path.read_text().splitlines()) for path in sources("tests"))
    print(f"{len(counts)} files, {sum(counts)} lines, median {median:.0f}, nine in ten under {ninth}, "
          f"largest {counts[-1]}, test ratio {tests / sum(counts):.2f}")
    wrong = [f"{path.relative_to(TOP)}: {count} lines, cap {SOURCE_CAP}" for path, count in lines.items()
             if count > SOURCE_CAP]
    if median > 130:
        wrong.append(f"the median file has {median} lines, at most 130 wanted")
    if ninth > 400:
        wrong.append(f"nine in ten files have under {ninth} lines, 400 wanted")
    return wrong


def words():
    wrong = []
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    printing = re.compile(r"std::(cout|cerr|clog)|\bs?printf\s*\(|\bexit\s*\(")
    for path in sources("include", "src", "tests", "bench"):
        relative = path.relative_to(TOP)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("//")[0]
            if marks.search(line):
                wrong.append(f"{relative}:{number}: an unfinished mark: {line.strip()}")
            quiet = relative.parts[0] in ("include", "src") and area_of(path) not in ("cli",)
            if quiet and printing.search(code) and "snprintf" not in code:
                wrong.append(f"{relative}:{number}: libraries never print and never exit: {line.strip()}")
            if re.search(r"/(home|root|work|tmp/b)/\w", line):
                wrong.append(f"{relative}:{number}: a path of one machine: {line.strip()}")
    return wrong


def keys():
    """A key that a message names is one of the schema's."""
    schema = "".join(path.read_text() for path in (TOP / "src/cli").glob("*schema.cpp"))
    known = set(re.findall(r'\.(?:text|integer|real|boolean|list)\(\s*"([a-z]+\.[a-z0-9_]+)"', schema))
    # Error codes and kill points of coordinator and federation look the same: those are left out.
    sections = "train|inner|run|model|exchange|outer|data|site|layout"
    mention = re.compile(rf"(?<![\w/.-])(?:{sections})\.[a-z0-9_]+(?![\w/.-]*\()")
    # What has the form of a key and is none: files, the kill points of training jobs, names of tensors.
    other = re.compile(r"\.(toml|lock|hpp|json|safetensors)$|^train\.(step|saved|closed|end_of_round|entry_handed|caught_up|snapshot)$|^model\.(norm|embed_tokens)$")
    wrong = [] if len(known) > 50 else [f"src/cli: only {len(known)} keys recognised"]
    for path in sources("src"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.lstrip().startswith(("#include", "//")):
                continue
            for text in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
                wrong += [f"{path.relative_to(TOP)}:{number}: {key} is no configuration key"
                          for key in mention.findall(text) if key not in known and not other.search(key)]
    return wrong


def inputs():
    """Each row of docs/bad-input.md names a code with its exit code, and tests that exist."""
    exits = dict(re.findall(r"^\s+(\w+) = (\d+),", (TOP / "include/concordat/core/error.hpp").read_text(), re.M))
    codes = {}
    for path in (TOP / "include/concordat").rglob("*.hpp"):
        for name, kind in re.findall(r'ErrorCode \w+\{\s*"([a-z.0-9_]+)",\s*Severity::\w+,\s*ExitCode::(\w+)\}', path.read_text()):
            codes[name] = exits[kind]
    tests = set()
    for path in (TOP / "tests").rglob("*.cpp"):
        tests |= {f"{suite}.{name}" for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", path.read_text(), re.M)}
    script = (TOP / "tests/system/bad_input_test.sh").read_text()
    wrong, rows = [], 0
    for line in (TOP / "docs/bad-input.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != 4 or cells[0] == "input":
            continue
        rows += 1
        code, named = cells[1].strip("`"), re.findall(r'`(?:\w+/)?(\w+\.\w+)`|"([^"]+)"', cells[3])
        if codes.get(code) != cells[2]:
            wrong.append(f"bad-input.md: {cells[0]}: {code} ends with {codes.get(code)}, the page says {cells[2]}")
        if not named:
            wrong.append(f"bad-input.md: {cells[0]}: no test")
        wrong += [f"bad-input.md: {cells[0]}: no test {test or text}" for test, text in named
                  if (test and test not in tests) or (text and f'"{text}"' not in script)]
    if rows < 25 or len(codes) < 40:
        wrong.append(f"bad-input.md: only {rows} rows and {len(codes)} codes recognised")
    return wrong


def main():
    rules = {"floors": floors, "heavy": heavy, "roads": roads, "headers": headers, "sizes": sizes, "words": words,
             "keys": keys, "inputs": inputs}
    wrong = rules[sys.argv[1]]()
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"house {sys.argv[1]}: {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
