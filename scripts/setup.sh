#!/usr/bin/env bash
# Checks that the machine has the tools that the demo and the tests call, and installs them where that is possible
# (Debian or Ubuntu, as root). Otherwise it names the command to type.
set -euo pipefail

# tool:package, for what every target needs
needed=(ip:iproute2 nsenter:util-linux unshare:util-linux)

missing=()
for entry in "${needed[@]}"; do
  command -v "${entry%%:*}" >/dev/null || [ -x "/usr/sbin/${entry%%:*}" ] || [ -x "/sbin/${entry%%:*}" ] ||
    missing+=("${entry##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
else
  echo "missing: ${packages[*]}. Type: sudo apt-get install ${packages[*]}" >&2
  exit 1
fi
