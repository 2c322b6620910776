# shellcheck shell=bash
# What scripts/test-kernel and scripts/test-debian share: Debian's packages and its mirror, as this
# machine has them. Sourced by bash, with `set -euo pipefail`.

say() { echo "$(basename "$0"): $*" >&2; }

die() {
  say "$*"
  exit 1
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

# Installs those of the packages that are missing; without any, needs no rights.
need_packages() {
  local package
  local missing=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  say "installing: ${missing[*]}"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

# The URL of Debian's archive in this machine's apt sources.
debian_mirror() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
    sed -n 1p)
  [[ -n $mirror ]] || die "apt knows no archive of Debian; run apt-get update"
  echo "$mirror"
}
