"""Bandwidth of each communicator's allreduce beside what MPI itself reaches.

    python benchmarks/allreduce.py [--ranks 2] [--rounds 3]

"raw mpi" is mpi4py's blocking Allreduce on the same buffers; a line of several tensors gives all of
them to the communicator at once and waits for all. Shown are the best times of the rounds, which go
through the communicators in turn, and GB/s of gradients (bytes of one rank over the time).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from communicators import OURS, RANK, RUN_SCRIPT

SIZES = {
    "1 x 1 k": (1, 1_000, 200),
    "200 x 500": (200, 500, 10),
    "1 x 1 M": (1, 1_000_000, 20),
    "200 x 50 k": (200, 50_000, 3),
    "1 x 34 M": (1, 34_000_000, 3),
}
"""Tensors and floats in each, and how often they are sent."""


def work(kind: str, folder: Path) -> None:
    """What each rank runs; rank 0 prints the best time for each size, in seconds."""
    from hpctrain.comm import Ranks, start

    torch.set_num_threads(1)
    comm = start("mpi" if kind == "raw mpi" else kind, Ranks.from_environment(), folder)
    assert comm.control is not None
    mpi, line, best = comm.control.mpi, comm.control.comm, {}
    for name, (count, floats, repeats) in SIZES.items():
        tensors = [torch.ones(floats) for _ in range(count)]
        times = []
        for _ in range(repeats + 2):
            line.Barrier()
            begin = time.perf_counter()
            if kind == "raw mpi":
                for tensor in tensors:
                    line.Allreduce(mpi.IN_PLACE, tensor.numpy())
            else:
                handles = [
                    comm.allreduce_async(tensor, f"{name}.{i}", "sum")
                    for i, tensor in enumerate(tensors)
                ]
                for handle in handles:
                    handle.wait()
            times.append(time.perf_counter() - begin)
        best[name] = min(times[2:])
    if comm.rank == 0:
        print("best " + json.dumps(best), flush=True)
    comm.close()
    os._exit(0)


def measure(kind: str, ranks: int) -> dict[str, float]:
    """Best times of one group of ranks."""
    env = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **RUN_SCRIPT}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "logs").mkdir()
        words = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"]
        words += ["sh", "-c", RANK, "rank", sys.executable, __file__, "--work", kind]
        words += ["--folder", folder]
        env = {**os.environ, **env}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    lines = [line[5:] for line in done.stdout.splitlines() if line.startswith("best ")]
    if not lines:
        raise SystemExit(f"{kind}: {done.stdout}{done.stderr}")
    times: dict[str, float] = json.loads(lines[0])
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.folder)
        return
    kinds = ("raw mpi", *OURS)
    best: dict[str, dict[str, float]] = {kind: {} for kind in kinds}
    for _ in range(arguments.rounds):
        for kind in kinds:
            for name, seconds in measure(kind, arguments.ranks).items():
                best[kind][name] = min(seconds, best[kind].get(name, seconds))
    print(f"{'floats':12}" + "".join(f"{kind:>22}" for kind in kinds))
    for name, (count, floats, _) in SIZES.items():
        size, cells = 4e-9 * count * floats, []
        for kind in kinds:
            seconds = best[kind][name]
            cells.append(f"{1e3 * seconds:10.3f} ms {size / seconds:5.2f} GB/s")
        print(f"{name:12}" + "".join(f"{cell:>24}" for cell in cells))
    ratios = [f"{k} {best['raw mpi']['1 x 34 M'] / best[k]['1 x 34 M']:.2f}" for k in OURS]
    print(f"bandwidth at 34 M floats against raw mpi: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
