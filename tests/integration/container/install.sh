#!/usr/bin/env bash
# Install Apptainer and an ordinary user for it on Debian or Ubuntu, as root.
#
# Debian 12 has no such package, and unstable's wants a newer glibc. So the package is unpacked, and its
# two programs are told to use a glibc of their own in /opt; apt's configuration and the system's
# libraries stay as they are. Images are built and started by the user, never by root.
set -euo pipefail
user=${HPCTRAIN_TEST_USER:-hpcuser}
own=/opt/apptainer-glibc
tools=(squashfs-tools squashfuse fuse2fs fuse-overlayfs uidmap fakeroot e2fsprogs ca-certificates debootstrap
  charliecloud-runtime libpmix2) # an engine of another kind; what srun --mpi=pmix loads
say() { echo "install.sh: $*" >&2; }

is_user_ready() { id "$user" >/dev/null 2>&1 && grep -q "^$user:" /etc/subuid 2>/dev/null; }
has() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
# one engine is for podman-hpc alone, whose tests are skipped without it: nothing here fails for it
install_podman() {
  if command -v podman >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 0; fi
  local words=(apt-get install -q -y --no-install-recommends podman runc crun-)
  export DEBIAN_FRONTEND=noninteractive
  timeout 300 "${words[@]}" >&2 && return 0
  # apt's lists are fetched above only where something else is missing: there may be none, or old ones
  timeout 300 apt-get update -q >&2 || true
  timeout 300 "${words[@]}" >&2 || say "podman could not be installed"
}
missing=()
for tool in "${tools[@]}"; do has "$tool" || missing+=("$tool"); done
if command -v apptainer >/dev/null && is_user_ready && [ "${#missing[@]}" = 0 ]; then
  install_podman
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  say "no Apptainer or no user $user; needs root and apt-get to install them"
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
install_packages() { timeout 900 apt-get install -q -y --no-install-recommends "$@"; }
if [ "${#missing[@]}" -gt 0 ]; then
  timeout 300 apt-get update -q
  install_packages "${missing[@]}"
fi
install_podman
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
# a range of its own for namespaces; useradd gives one where /etc/login.defs says so
grep -q "^$user:" /etc/subuid || usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$user"
if command -v apptainer >/dev/null; then exit 0; fi
if apt-cache policy apptainer | grep -q 'Candidate: [0-9]'; then
  install_packages apptainer
  exit 0
fi

# shellcheck disable=SC2016 # apt-get's own variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/*$' | head -n 1 || true)
if [ -z "$mirror" ]; then
  say "apt has no package apptainer, and no mirror of Debian to take unstable's from"
  exit 1
fi
has patchelf || install_packages patchelf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial}
for suite in trixie sid; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$work/sources.list"
apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
cd "$work"
timeout 300 "${apt[@]}" update
timeout 300 "${apt[@]}" download apptainer/sid libc6/trixie libseccomp2/trixie libsqlite3-0/trixie
mkdir libraries program "$own"
for package in libc6_*.deb libseccomp2_*.deb libsqlite3-0_*.deb; do dpkg-deb -x "$package" libraries; done
dpkg-deb -x apptainer_*.deb program
cp -a libraries/usr/lib/x86_64-linux-gnu/. "$own/"
for file in program/usr/bin/apptainer program/usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
  patchelf --set-interpreter "$own/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$own" "$file"
done
cp -a program/. /
mkdir -p /var/lib/apptainer/mnt/session
ln -sf apptainer /usr/bin/singularity
if [ -e /dev/fuse ]; then chmod 666 /dev/fuse; fi # images are mounted by the user
apptainer --version
