# Installs the Debian packages of packaging/debian-packages that are missing. Sourced by dev.
# shellcheck shell=bash

# Prints the packages of the given groups, one a line.
packages_of() {
  awk -v groups=" $* " '!/^#/ && NF && index(groups, " " $1 " ") { print $2 }' packaging/debian-packages | sort -u
}

has_own_node() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    [ "$(node --version | sed 's/^v\([0-9]*\).*/\1/')" -ge 18 ]
}

# Prints those of the packages on standard input that are not installed.
not_installed() {
  local wanted
  wanted=$(cat)
  # shellcheck disable=SC2086 # one word a package
  comm -23 <(sort -u <<<"$wanted") \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

without_node() {
  if has_own_node; then grep -vxE 'nodejs|npm' || true; else cat; fi
}

# need_packages GROUP…
need_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "no apt-get here: packaging/debian-packages names what to install by hand; going on"
    return 0
  fi
  local missing
  mapfile -t missing < <(packages_of "$@" | without_node | not_installed)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
  local as_root=() log
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "not root and no sudo; as root run: apt-get install --no-install-recommends $*"
    as_root=(sudo)
  fi
  log=$(mktemp)
  say "installing $# packages: $*"
  if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
      install --no-install-recommends "$@"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get failed; its whole output is in $log"
  fi
  rm -f "$log"
}
