#!/usr/bin/env bash
# Install what cluster.sh needs from Debian or Ubuntu, as root. No daemon is started by it.
set -euo pipefail
packages=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2 util-linux procps)
packages+=(libpmix-dev)  # srun --mpi=pmix opens the library by its name without a version
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "install.sh: missing ${missing[*]}; needs root and apt-get to install them" >&2
  exit 1
fi

# the packages would start daemons without a configuration; invoke-rc.d asks this file first
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
timeout 300 apt-get update -q
timeout 900 apt-get install -q -y --no-install-recommends "${missing[@]}"
