#!/usr/bin/env python3
"""packaging.py CONCORDAT: the recipes in packaging/, slurm/border.service and the pages about them do not rot.

What a recipe names must exist: commands and flags in the program's help, presets and options of CMake, packages of the
scripts, files, labels that selectors mean. With PyYAML the manifests are parsed and the pods' rules held; without it
that part says so and is left out. Nothing is run but the program's own help.
"""
import ast
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = TOP / "packaging"
UNIT = TOP / "slurm/border.service"
PAGES = [TOP / "docs/containers.md", TOP / "docs/doctor.md"]
wrong = []


def expect(good, message):
    if not good:
        wrong.append(message)


def name(path):
    return str(path.relative_to(TOP))


def recipes():
    kinds = {".def", ".yaml", ".toml", ".py", ".lua", ".tcl"}
    return [p for p in sorted(PACKAGING.rglob("*")) if p.suffix in kinds or p.name == "Containerfile"] + [UNIT]


def marks():
    """Each recipe says at its top what was run and what was only linted."""
    for path in recipes():
        if path.suffix == ".toml":
            continue
        head = "\n".join(path.read_text().splitlines()[:20])
        for mark in ("Run:", "Linted:"):
            expect(mark in head, f"{name(path)}: no '{mark}' in its first 20 lines")


def commands(program):
    """Every `concordat COMMAND` and each of its --flags is in the help."""
    overview = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  ([a-z]+) +\S", overview.split("commands:")[1].split("\n\n")[0], re.M))
    expect(len(known) >= 12, f"only {len(known)} commands recognised in the help")
    helps = {c: subprocess.run([program, c, "--help"], capture_output=True, text=True, check=True).stdout for c in known}
    used = 0
    for path in recipes() + PAGES:
        text = path.read_text()
        if path.suffix in (".yaml",):
            # Lists of words, one a line, read like a command line.
            text = re.sub(r"\n +- (?=\S)", " ", text)
        for match in re.finditer(r"(?<![\w./-])(?:/opt/concordat/bin/)?concordat ([a-z]+)([^\n`|;&]*)", text):
            command, rest = match.group(1), match.group(2).split("#")[0]
            if command not in known:
                # Prose: "concordat recipe"; a command line has arguments that look like it.
                expect(not re.search(r" --[a-z]", rest), f"{name(path)}: 'concordat {command}' is no command")
                continue
            used += 1
            for flag in re.findall(r"(?<=[\s\[])--([a-z][a-z.-]*)", rest):
                expect(re.search(rf"--{re.escape(flag)}\b", helps[command]),
                       f"{name(path)}: --{flag} is not in concordat {command} --help")
    expect(used >= 15, f"only {used} uses of commands found")
    return known


def builds():
    """Presets, options and packages that the recipes name."""
    presets = {p["name"] for p in json.loads((TOP / "CMakePresets.json").read_text())["configurePresets"]}
    setup = (TOP / "scripts/lib/setup.sh").read_text()
    wanted = re.search(r"program_packages=\(([^)]*)\)", setup).group(1).split()
    for path in (PACKAGING / "apptainer/concordat.def", PACKAGING / "kubernetes/Containerfile"):
        text = path.read_text()
        for preset in re.findall(r"--preset (\w+)", text):
            expect(preset in presets, f"{name(path)}: no preset {preset}")
        installed = re.search(r"install -y --no-install-recommends((?:\s+\\?\s*[a-z0-9.+-]+)*)", text).group(1)
        packages = set(installed.replace("\\", " ").split())
        for package in wanted:
            expect(package in packages, f"{name(path)}: {package} of scripts/lib/setup.sh is not installed for the build")
    options = re.findall(r"option\((CONCORDAT_\w+)", (TOP / "CMakeLists.txt").read_text())
    spack = (PACKAGING / "spack/package.py").read_text()
    tree = ast.parse(spack)
    variants = re.findall(r'\bvariant\("(\w+)"', spack)
    for option, variant in re.findall(r'define_from_variant\("(\w+)", "(\w+)"\)', spack):
        expect(option in options, f"package.py: CMake has no option {option}")
        expect(variant in variants, f"package.py: no variant {variant}")
    for variant in variants:
        expect(f', "{variant}")' in spack, f"package.py: the variant {variant} sets no option of CMake")
    expect(any(isinstance(n, ast.ClassDef) and n.name == "Concordat" for n in tree.body), "package.py: no class Concordat")
    definition = (PACKAGING / "apptainer/concordat.def").read_text()
    sections = re.findall(r"^%(\w+)", definition, re.M)
    for section in ("files", "post", "environment", "runscript", "test", "labels", "help"):
        expect(section in sections, f"concordat.def: no section %{section}")
    stages = re.findall(r"^Stage: (\w+)", definition, re.M)
    expect(stages == ["build", "final"], f"concordat.def: stages {stages}")
    for stage in re.findall(r"^%files from (\w+)", definition, re.M):
        expect(stage in stages, f"concordat.def: %files from {stage}, which is no stage")


def modules():
    """Both module files are installed, and put bin/ of the prefix in PATH."""
    rules = (PACKAGING / "CMakeLists.txt").read_text()
    for kind, path_line in (("lua", 'prepend_path("PATH", pathJoin(prefix, "bin"))'), ("tcl", "prepend-path PATH [file join $prefix bin]")):
        file = PACKAGING / f"modulefiles/concordat.{kind}"
        expect(f"modulefiles/concordat.{kind}" in rules, f"concordat.{kind} is not installed")
        expect(path_line in file.read_text(), f"concordat.{kind}: bin is not put into PATH")
    expect((PACKAGING / "modulefiles/concordat.tcl").read_text().startswith("#%Module"), "concordat.tcl: no magic cookie")


def unit(program):
    """systemd finds nothing wrong with the border's unit, and its exit codes are the program's."""
    text = UNIT.read_text()
    codes = {key: set(value.split()) for key, value in re.findall(r"^(\w+ExitStatus)=(.*)$", text, re.M)}
    expect(codes == {"SuccessExitStatus": {"75"}, "RestartPreventExitStatus": {"64", "65", "77"}},
           f"border.service: other exit codes than 75, and 64, 65 and 77: {codes}")
    if not shutil.which("systemd-analyze"):
        print("packaging: systemd-analyze is not here: border.service is not verified")
        return
    with tempfile.TemporaryDirectory() as folder:
        there = pathlib.Path(folder) / UNIT.name
        there.write_text(text.replace("/usr/local/bin/concordat", str(pathlib.Path(program).resolve())))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(there)], capture_output=True, text=True)
        said = (done.stdout + done.stderr).strip()
        expect(done.returncode == 0 and not said, f"border.service: systemd-analyze verify: {done.returncode}: {said}")


def paths():
    """Paths of the repository that recipes and pages name exist."""
    for path in recipes() + PAGES:
        for mention in re.findall(r"(?<![\w/.-])((?:packaging|docs|configs|scripts|tests)/[\w./-]+\w)", path.read_text()):
            expect((TOP / mention).exists(), f"{name(path)}: there is no {mention}")
    for file in PACKAGING.rglob("kustomization.yaml"):
        for line in re.findall(r"^ +- ([\w-]+\.(?:yaml|toml))$", file.read_text(), re.M):
            expect((file.parent / line).exists(), f"{name(file)}: there is no {line}")
        expect("disableNameSuffixHash: true" in file.read_text(), f"{name(file)}: an MPIJob would not find the generated map")


def keys():
    """The example configurations use keys that exist."""
    schema = "".join(path.read_text() for path in (TOP / "src/cli").glob("*schema.cpp"))
    known = set(re.findall(r'\.(?:text|integer|real|boolean|list)\(\s*"([a-z]+\.[a-z0-9_]+)"', schema))
    for path in PACKAGING.rglob("*.toml"):
        section = ""
        for line in path.read_text().splitlines():
            if match := re.match(r"\[(\w+)\]", line):
                section = match.group(1)
            elif match := re.match(r"(\w+) *=", line):
                expect(f"{section}.{match.group(1)}" in known, f"{name(path)}: no key {section}.{match.group(1)}")


def pod_specs(node):
    """All pod templates below a node, with their labels."""
    if isinstance(node, dict):
        template = node.get("template")
        if isinstance(template, dict) and "containers" in template.get("spec", {}):
            yield template.get("metadata", {}).get("labels", {}), template["spec"]
        for value in node.values():
            yield from pod_specs(value)


def check_pod(where, spec, known):
    security = spec.get("securityContext", {})
    expect(security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0, f"{where}: may run as root")
    expect("fsGroup" not in security, f"{where}: fsGroup would open the key files to a group")
    expect(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{where}: no seccomp profile")
    expect(spec.get("automountServiceAccountToken") is False, f"{where}: holds a token of the cluster")
    volumes = {v["name"] for v in spec.get("volumes", [])}
    for container in spec["containers"] + spec.get("initContainers", []):
        words = container.get("command", [])
        if words[:1] == ["concordat"]:
            expect(words[1:2] and words[1] in known, f"{where}: 'concordat {' '.join(words[1:2])}' is no command")
        closed = container.get("securityContext", {})
        expect(closed.get("allowPrivilegeEscalation") is False and closed.get("capabilities", {}).get("drop") == ["ALL"],
               f"{where}: container {container['name']} keeps privileges")
        for mount in container.get("volumeMounts", []):
            expect(mount["name"] in volumes, f"{where}: no volume {mount['name']}")


def manifests(known):
    try:
        import yaml
    except ImportError:
        print("packaging: PyYAML is not installed: manifests are not parsed")
        return
    kinds = {}
    for folder in (PACKAGING / "kubernetes/site", PACKAGING / "kubernetes/coordinator"):
        objects = [o for f in sorted(folder.glob("*.yaml")) for o in yaml.safe_load_all(f.read_text())]
        maps = {m["name"] for o in objects for m in o.get("configMapGenerator", [])}
        roles, claims = set(), {o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"}
        for o in objects:
            kinds[o["kind"]] = kinds.get(o["kind"], 0) + 1
            for labels, spec in pod_specs(o):
                where = f"{folder.name}/{o['kind']}/{o.get('metadata', {}).get('name')}"
                roles.add(labels.get("concordat-role"))
                check_pod(where, spec, known)
                for volume in spec.get("volumes", []):
                    mapped = volume.get("configMap", {}).get("name")
                    expect(mapped is None or mapped in maps, f"{where}: no configuration map {mapped}")
                    claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                    expect(claim is None or claim in claims, f"{where}: no claim {claim}")
        policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
        for policy in policies:
            spec, title = policy["spec"], policy["metadata"]["name"]
            role = spec["podSelector"].get("matchLabels", {}).get("concordat-role")
            expect(role is None or role in roles, f"{folder.name}: policy {title} selects role {role}, which no pod has")
            for rule in spec.get("egress", []):
                for peer in rule.get("to", [{}]):
                    outward = "ipBlock" in peer or not peer
                    expect(not outward or role == "border", f"{folder.name}: policy {title} lets {role} out")
                    expect("ipBlock" not in peer or not peer["ipBlock"]["cidr"].endswith("/0"), f"{folder.name}: policy {title} lets {role} everywhere")
        denies = [p for p in policies if not p["spec"]["podSelector"] and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"}]
        expect(folder.name != "site" or denies, "site: no policy that denies everything else")
    for kind in ("Deployment", "MPIJob", "NetworkPolicy", "Service", "PersistentVolumeClaim", "Kustomization"):
        expect(kinds.get(kind), f"no {kind} among the manifests: {kinds}")


def main():
    marks()
    known = commands(sys.argv[1])
    builds()
    modules()
    paths()
    unit(sys.argv[1])
    keys()
    manifests(known)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"packaging: {len(recipes())} recipes, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
