"""Messages between two ranks in an image, with a user namespace for each rank and one for both.

    python benchmarks/namespaces.py IMAGE [--mpirun mpirun] [--rounds 5] [--limit 60]

IMAGE has python3 and an Open MPI whose ranks the host's mpirun can start, such as one of `hpctrain
container build --base debian12` under an Open MPI 4. Only where Apptainer makes a namespace for
each rank (not installed setuid, or called by root) does it show a difference. A cell is the best of
the rounds, which go through the ways in turn: GB/s one way, half of the time there and back.
"hangs": no answer within the limit; such a way, and one that fails, is not asked again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

SIZES = {64 << 10: 100, 1 << 20: 50, 4 << 20: 20, 16 << 20: 10}
"""Bytes of a message, and how often it goes there and back."""

GRACE_S = 10.0
"""How long mpirun may take to end its ranks."""

MECHANISM = "OMPI_MCA_btl_vader_single_copy_mechanism"
WAYS = {
    "one each, none": ([], "none"),
    "one each, cma": ([], "cma"),
    "one for both, none": (["--sharens"], "none"),
    "one for both, cma": (["--sharens"], "cma"),
}
"""Namespaces and how Open MPI copies: words of the engine, value of MECHANISM."""

RANK = """
import ctypes, json, sys, time
mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
mpi.MPI_Init(None, None)
handle = lambda name: ctypes.byref(ctypes.c_char.in_dll(mpi, name))
world, byte = handle("ompi_mpi_comm_world"), handle("ompi_mpi_byte")
rank, size = ctypes.c_int(), ctypes.c_int()
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
mpi.MPI_Comm_size(world, ctypes.byref(size))
assert size.value == 2, f"{size.value} ranks, not 2: does this mpirun fit the image's MPI?"
me, found = rank.value, {}
def send(buffer, length): mpi.MPI_Send(buffer, length, byte, 1 - me, 0, world)
def take(buffer, length): mpi.MPI_Recv(buffer, length, byte, 1 - me, 0, world, None)
for length, repeats in json.loads(sys.argv[1]):
    mine, other = ctypes.create_string_buffer(b"x", length), ctypes.create_string_buffer(length)
    best = None
    for _ in range(repeats + 2):
        began = time.perf_counter()
        if me:
            take(other, length); send(other, length)
        else:
            send(mine, length); take(other, length)
        spent = time.perf_counter() - began
        best = spent if best is None else min(best, spent)
    assert other.raw == mine.raw
    found[length] = length / (best / 2) / 1e9
if me == 0:
    print("RESULT " + json.dumps(found), flush=True)
mpi.MPI_Finalize()
"""


def main() -> None:
    """Print GB/s by size and way, and the last of them over the first: what one namespace gains."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image")
    parser.add_argument("--mpirun", default="mpirun")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS")
    ask = parser.parse_args()
    mpirun, image = shutil.which(ask.mpirun), os.path.abspath(ask.image)
    programs = {"apptainer": shutil.which("apptainer"), ask.mpirun: mpirun}
    if mpirun is None or None in programs.values():
        sys.exit(f"not in PATH: {', '.join(name for name, path in programs.items() if not path)}")
    if not os.path.exists(image):
        sys.exit(f"{ask.image}: no such image; hpctrain container build --base debian12 -o FILE")
    mpirun = os.path.abspath(mpirun)  # ranks, and so mpirun, start in another folder
    best: dict[str, dict[str, float] | str] = {way: {} for way in WAYS}
    for _ in range(ask.rounds):
        for way, own in list(best.items()):
            if isinstance(own, dict):
                best[way] = better(own, measure(mpirun, image, way, ask.limit))
    show(best)


def better(own: dict[str, float], found: dict[str, float] | str) -> dict[str, float] | str:
    """The best of both, or what went wrong."""
    if isinstance(found, str):
        return found
    return {size: max(own.get(size, 0.0), speed) for size, speed in found.items()}


def measure(mpirun: str, image: str, way: str, limit_s: float) -> dict[str, float] | str:
    """GB/s by size, or what went wrong."""
    words, mechanism = WAYS[way]
    engine = ["apptainer", "exec", *(["--userns"] if os.geteuid() == 0 else []), *words, image]
    plan = json.dumps(list(SIZES.items()))
    command = [mpirun, "-np", "2", "--bind-to", "none"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("OMPI_MCA_")}
    env |= {MECHANISM: mechanism, "OPAL_PREFIX": ""}
    process = subprocess.Popen(
        [*command, *engine, "env", "-u", "OPAL_PREFIX", "python3", "-c", RANK, plan],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd="/",
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        end(process)
        return "hangs"
    except BaseException:  # the terminal's Ctrl-C no longer reaches ranks in a session of their own
        end(process)
        raise
    lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
    if not lines:
        print(f"{way}: the ranks failed:\n{out[-800:]}{err[-1600:]}", file=sys.stderr)
        return "fails"
    found: dict[str, float] = json.loads(lines[-1].removeprefix("RESULT "))
    return found


def end(process: subprocess.Popen[str]) -> None:
    """End mpirun, which takes its ranks along; and all of its group, where that takes too long."""
    process.terminate()
    try:
        process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # a rank in a group of its own may hold the other ends still, so nobody waits for them
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def show(best: dict[str, dict[str, float] | str]) -> None:
    """The table."""
    width = max(map(len, WAYS))
    print(f"{'GB/s one way':<{width}}" + "".join(f"{size >> 10:>10} KiB" for size in SIZES))
    for way, found in best.items():
        cells = [found if isinstance(found, str) else f"{found[str(n)]:.2f}" for n in SIZES]
        print(f"{way:<{width}}" + "".join(f"{cell:>14}" for cell in cells))
    apart, shared = best["one each, none"], best["one for both, cma"]
    if isinstance(apart, dict) and isinstance(shared, dict):
        ratios = [f"{shared[str(n)] / apart[str(n)]:.2f}" for n in SIZES]
        print(f"{'ratio':<{width}}" + "".join(f"{cell:>14}" for cell in ratios))


if __name__ == "__main__":
    main()
