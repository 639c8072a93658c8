"""Two ranks against one, for each communicator, beside plain DDP and plain Horovod.

    python benchmarks/communicators.py [--ranks 2] [--rounds 3] [--networks tinycnn,mlp,resnet18]

Each figure is images a second over all ranks of one process group that was started for it, with
one thread a rank; a group warms up, then times several stretches and reports the median. Rounds go
through all of them in turn, and the median of the rounds is shown.

The rivals are written as their users write them, and started by mpirun alone. Ours use `Update`,
the trainer's own optimizer step, and the environment that a rendered run script sets.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from networks import NETWORKS

OURS, RIVALS = ("horovod", "ddp", "mpi"), ("plain horovod", "plain ddp")
STEPS, STRETCHES = {"tinycnn": 16, "mlp": 8, "resnet18": 3}, 5
"""Steps of a stretch: about a second."""
RUN_SCRIPT = {
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl": "^ofi",
    "HOROVOD_FUSION_THRESHOLD": "0",
}
"""What the run script sets on one node whose cores the ranks fill."""


def our_step(kind: str, model: torch.nn.Module, folder: Path) -> tuple[Callable, Callable]:
    """One step as the trainer makes it, and what ends it all."""
    from hpctrain.comm import Ranks, start
    from hpctrain.comm.buffers import SharedBuffers
    from hpctrain.train.update import Update

    comm = start(kind, Ranks.from_environment(), folder)
    comm.broadcast(t.data for t in (*model.parameters(), *model.buffers()))
    buffers = SharedBuffers(comm, [model])
    update = Update(comm, {"model": torch.optim.SGD(model.parameters(), lr=0.01)})

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        buffers.share()
        update("model", lambda _: {"loss": F.cross_entropy(model(x), y)}, [None])

    return step, comm.close


def plain_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Callable:
    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def plain_ddp_step(model: torch.nn.Module, folder: Path) -> tuple[Callable, Callable]:
    import torch.distributed as dist

    rank, size = (int(os.environ[f"HPCTRAIN_{name}"]) for name in ("RANK", "WORLD_SIZE"))
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=size
    )
    ddp = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.01)

    return plain_step(ddp, optimizer), dist.destroy_process_group


def plain_horovod_step(model: torch.nn.Module, folder: Path) -> tuple[Callable, Callable]:
    import horovod.torch as hvd

    hvd.init()
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01), named_parameters=model.named_parameters()
    )
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)

    return plain_step(model, optimizer), hvd.shutdown


def bare_step(model: torch.nn.Module, folder: Path) -> tuple[Callable, Callable]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    return plain_step(model, optimizer), lambda: None


PLAIN = {
    "plain ddp": plain_ddp_step,
    "plain horovod": plain_horovod_step,
    "bare loop": bare_step,
}


def work(kind: str, network: str, folder: Path) -> None:
    """What each rank runs; rank 0 prints images a second of one rank."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make, shape, classes = NETWORKS[network]
    model, x = make(), torch.randn(shape)
    y = torch.randint(classes, (shape[0],))
    step, close = PLAIN[kind](model, folder) if kind in PLAIN else our_step(kind, model, folder)
    steps = STEPS[network]
    for _ in range(steps):
        step(x, y)
    rates = []
    for _ in range(STRETCHES):
        begin = time.perf_counter()
        for _ in range(steps):
            step(x, y)
        rates.append(shape[0] * steps / (time.perf_counter() - begin))
    if os.environ["HPCTRAIN_RANK"] == "0":
        print(f"images/s {statistics.median(rates)}", flush=True)
    close()
    os._exit(0)


RANK = (
    'export HPCTRAIN_RANK="$OMPI_COMM_WORLD_RANK" HPCTRAIN_WORLD_SIZE="$OMPI_COMM_WORLD_SIZE" '
    'HPCTRAIN_LOCAL_RANK="$OMPI_COMM_WORLD_LOCAL_RANK" '
    'HPCTRAIN_LOCAL_SIZE="$OMPI_COMM_WORLD_LOCAL_SIZE"; exec "$@"'
)


def measure(kind: str, network: str, ranks: int) -> float:
    """Images a second over all ranks of a group started for this."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if kind in OURS:
        env = {**RUN_SCRIPT, **env}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "logs").mkdir()
        words = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"]
        words += ["sh", "-c", RANK, "rank", sys.executable, __file__, "--work", kind, network]
        words += ["--folder", folder]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    rates = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("images/s")]
    if not rates:
        raise SystemExit(f"{kind}, {network}, {ranks} ranks: {done.stdout}{done.stderr}")
    return float(rates[0]) * ranks


def show(network: str, ranks: int, rates: dict[tuple[str, int], list[float]]) -> None:
    medians = {key: statistics.median(values) for key, values in rates.items()}
    bare = medians["bare loop", 1]
    print(f"\n{network}: one rank without a communicator {bare:.1f} images/s")
    for (kind, size), value in medians.items():
        if kind != "bare loop":
            print(f"  {kind:14} {size} ranks {value:8.1f} images/s  {value / bare / size:6.1%}")
    ours, theirs = (max(medians[k, ranks] for k in kinds) for kinds in (OURS, RIVALS))
    print(f"  best of ours / best of theirs: {ours / theirs:.3f} (aim >= 0.97)")
    if ("single", 1) in medians:
        print(f"  one rank, ours / bare loop: {medians['single', 1] / bare:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work, arguments.folder)
        return
    groups = [("bare loop", 1), ("single", 1)]
    groups += [(kind, arguments.ranks) for kind in (*RIVALS, *OURS)]
    for network in arguments.networks.split(","):
        rates: dict[tuple[str, int], list[float]] = defaultdict(list)
        for _ in range(arguments.rounds):
            for kind, size in groups:
                rates[kind, size].append(measure(kind, network, size))
        show(network, arguments.ranks, rates)


if __name__ == "__main__":
    main()
