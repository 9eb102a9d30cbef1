#!/usr/bin/env bash
# setup_test.sh: what the scripts do about missing packages. A user without root and without sudo
# reads the names that apt, modules and Spack have for them, and the script stops before it builds;
# with root or passwordless sudo exactly what is missing is installed. dpkg, apt and sudo are stood
# in for, so nothing of this machine is asked or changed.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/concordat-setup-XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { passed=$((passed + 1)); }

# A copy that another user can read, and a PATH with nothing in it but these tools and the stand-ins.
chmod 755 "$work"
mkdir -p "$work/tree" "$work/bin"
cp -a "$top/scripts" "$work/tree/"
chmod -R a+rX "$work/tree"
for tool in bash cat cp cut dirname env grep id ls mkdir mktemp realpath rm sed; do ln -s "$(command -v "$tool")" "$work/bin/$tool"; done
cat >"$work/dpkg-query" <<'EOT'
#!/bin/bash
# Installed is what stands in $INSTALLED.
for package in "$@"; do :; done
case " $INSTALLED " in *" $package "*) echo 'install ok installed' ;; *) echo 'no packages found' >&2; exit 1 ;; esac
EOT
chmod 755 "$work/dpkg-query"

# as_user COMMAND...: without root and with only the stand-ins in PATH. The output is in $said.
as_user() {
  local drop=()
  [ "$(id -u)" -ne 0 ] || drop=("$(command -v setpriv)" --reuid=65534 --regid=65534 --clear-groups)
  code=0
  said=$("${drop[@]}" env -i PATH="$work/bin" HOME=/nonexistent INSTALLED="${installed:-}" "$@" 2>&1 </dev/null) || code=$?
}
says() { grep -qF -- "$1" <<<"$said" || fail "$2: expected '$1' in: $said"; }
says_not() { ! grep -qF -- "$1" <<<"$said" || fail "$2: unexpected '$1' in: $said"; }

every=$(bash -c ". $top/scripts/lib/setup.sh; echo \"\${program_packages[@]} \${quickstart_packages[@]} \${test_packages[@]}\"")
cd "$work/tree"

# ---- without dpkg, root and sudo: a cluster's login node
for script in quickstart.sh test.sh; do
  as_user bash "scripts/$script"
  [ "$code" -ne 0 ] || fail "$script went on without its packages: $said"
  for name in 'apt-get install' g++ libopenmpi-dev libhdf5-dev libdnnl-dev libssl-dev 'module load' openmpi/ hdf5/ onednn/ \
    'spack install' 'boost+program_options' CONCORDAT_SKIP_SETUP=1; do says "$name" "$script without dpkg"; done
  says_not building "$script without dpkg"
  [ ! -e build ] || fail "$script built something"
  ok
done

# ---- dpkg says that some are missing; no root, no sudo
ln -s "$work/dpkg-query" "$work/bin/dpkg-query"
installed=${every/libdnnl-dev/}
for script in quickstart.sh test.sh; do
  as_user bash "scripts/$script"
  [ "$code" -ne 0 ] || fail "$script went on without libdnnl-dev"
  says '  libdnnl-dev' "$script with one missing"
  says 'apt-get install libdnnl-dev' "$script with one missing"
  says 'module load' "$script with one missing"
  says 'spack install' "$script with one missing"
  says_not 'apt-get install g++' "$script with one missing"
  ok
done
installed=${every/libgtest-dev/}
as_user bash scripts/test.sh
says 'apt-get install libgtest-dev' "test.sh without its own packages"
as_user bash -c '. scripts/lib/setup.sh; concordat_setup quickstart && echo went on'
says 'went on' "the quickstart asks for what only tests need"
ok

# ---- a sudo that wants a password is none
printf '#!/bin/bash\necho "sudo: a password is required" >&2\nexit 1\n' >"$work/bin/sudo"
chmod 755 "$work/bin/sudo"
installed=${every/ninja-build/}
as_user bash scripts/quickstart.sh
[ "$code" -ne 0 ] || fail "a sudo without a password was counted on"
says 'apt-get install ninja-build' "sudo with a password"
ok

# ---- passwordless sudo: what is missing is installed, and nothing else
cat >"$work/bin/sudo" <<'EOT'
#!/bin/bash
[ "$1" = -n ] || exit 1
shift
[ "$1" = true ] || echo "sudo ran: $*" >&2
EOT
installed=${every/ninja-build/}
installed=${installed/libssl-dev/}
as_user bash -c '. scripts/lib/setup.sh; concordat_setup program && echo went on'
says 'sudo ran: apt-get update' "passwordless sudo"
says 'installing 2 packages: ninja-build libssl-dev' "passwordless sudo"
says 'apt-get install -y -qq --no-install-recommends ninja-build libssl-dev' "passwordless sudo"
says 'went on' "passwordless sudo"
ok

# ---- the policy that keeps daemons from starting goes again, also when apt fails
cat >"$work/bin/sudo" <<'EOT'
#!/bin/bash
shift
echo "sudo ran: $*" >&2
case "$*" in *"apt-get $FAILS"*) exit 100 ;; esac
EOT
installed=${every/munge/}
for fails in nothing update install; do
  as_user env FAILS="$fails" bash -c 'set -e; . scripts/lib/setup.sh; policy_file=/nonexistent/policy; concordat_setup tests; echo went on'
  says 'sudo ran: tee /nonexistent/policy' "apt fails to $fails"
  says 'sudo ran: rm -f /nonexistent/policy' "apt fails to $fails"
  if [ "$fails" = nothing ]; then says 'went on' "apt fails to $fails"; else says_not 'went on' "apt fails to $fails"; fi
done
ok

# ---- nothing missing, or the user says that the modules are loaded: not a word
installed=$every
as_user bash -c '. scripts/lib/setup.sh; concordat_setup tests && echo went on'
[ "$said" = 'went on' ] || fail "nothing is missing, and yet: $said"
installed=
as_user env CONCORDAT_SKIP_SETUP=1 bash -c '. scripts/lib/setup.sh; concordat_setup tests && echo went on'
[ "$said" = 'went on' ] || fail "the set-up was not skipped: $said"
ok
echo "setup: $passed passed"
