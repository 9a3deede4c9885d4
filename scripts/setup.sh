#!/usr/bin/env bash
# Checks that the machine has the tools that the demo and the tests call, and installs them where that is possible
# (Debian or Ubuntu, as root). Otherwise it names the command to type.
#
#   scripts/setup.sh         what every target needs; without it nothing can go on
#   scripts/setup.sh real    also what the tests in a virtual machine need; without it they are skipped by name
#   scripts/setup.sh bench   also what the peers of the benchmarks need; without it rows say which peer is missing
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }

install_missing() { # required|optional
  [ ${#missing[@]} -gt 0 ] || return 0
  local packages
  mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing: ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  else
    echo "missing: ${packages[*]}. Type: sudo apt-get install ${packages[*]}" >&2
    [ "$1" = optional ]
  fi
  missing=()
}

need ip iproute2
need nsenter util-linux
need sysctl procps
install_missing required

if [ "${1:-}" = real ]; then
  need qemu-system-x86_64 qemu-system-x86
  need busybox busybox-static
  ls /boot/vmlinuz-*-amd64 >/dev/null 2>&1 || missing+=(linux-image-amd64)
  install_missing optional || true
fi

if [ "${1:-}" = bench ]; then
  need gcc gcc
  echo '#include <linux/rtnetlink.h>
    #include <stdio.h>' | gcc -fsyntax-only -xc - 2>/dev/null || missing+=(libc6-dev)
  install_missing optional || true
  # No distribution's package: the module of the reference plugins asks for a newer Go than most have.
  command -v go >/dev/null ||
    echo "missing: Go 1.21 or newer, for the reference plugins. Install it from https://go.dev/dl/" >&2
fi
