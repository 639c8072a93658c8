"""How long a checkpoint of 173 MB stops the training, and how much it slows the steps beside it.

    python benchmarks/checkpoint_pause.py [--rounds 7] [--device cpu|cuda] [--folder DIR]

The state is that of the super-resolution networks of default size: 14.4 million parameters in 120
tensors, and Adam's two moments. Three ways, taking turns in one process:

- in line: torch.save to a file beside, fsync, rename, as a careful script does it;
- async_save: torch.distributed.checkpoint, one rank, gloo; it syncs no file;
- ours: `Saver`, with its look at all parameters for numbers that are not finite.

After the pause, steps of some milliseconds are made until the write has ended. `steps lost` is the
time of these steps beyond that of as many undisturbed ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from hpctrain import log
from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.faults.finite import FiniteCheck
from hpctrain.train.run import RunState
from hpctrain.train.saving import Saver
from hpctrain.train.task import Position

TENSORS, ELEMENTS = 120, 120_000


class Training:
    """A state of the wanted size, and a small network whose steps go on beside the writing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.model = nn.ParameterList(torch.randn(ELEMENTS) for _ in range(TENSORS)).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        for p in self.model:
            p.grad = torch.randn_like(p)
        self.optimizer.step()
        self.net = nn.Sequential(*(nn.Linear(320, 320) for _ in range(8))).to(device)
        self.net_optimizer = torch.optim.Adam(self.net.parameters())
        self.x = torch.randn(64, 320, device=device)

    def state(self) -> dict[str, Any]:
        """What is saved."""
        return {"models": self.model.state_dict(), "optimizers": self.optimizer.state_dict()}

    def step(self) -> float:
        """One step of the small network; returns its seconds."""
        begin = time.perf_counter()
        self.net_optimizer.zero_grad()
        self.net(self.x).square().mean().backward()
        self.net_optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin


class InLine:
    """torch.save, synced and renamed."""

    name = "in line"

    def __init__(self, training: Training, folder: Path) -> None:
        self.training, self.folder = training, folder

    def save(self, number: int) -> Callable[[], bool]:
        """Save; returns whether it is still being written."""
        path = self.folder / f"state_{number}.pt"
        with open(path.with_suffix(".tmp"), "wb") as file:
            torch.save(self.training.state(), file)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".tmp").rename(path)
        return lambda: False


class AsyncSave:
    """torch.distributed.checkpoint.async_save at one rank."""

    name = "async_save"

    def __init__(self, training: Training, folder: Path) -> None:
        from torch.distributed.checkpoint import async_save

        self.training, self.folder, self.call = training, folder, async_save
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{s.getsockname()[1]}"
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        backend = "cpu:gloo,cuda:nccl" if training.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=address, rank=0, world_size=1)

    def save(self, number: int) -> Callable[[], bool]:
        """Save; returns whether it is still being written."""
        future = self.call(self.training.state(), checkpoint_id=self.folder / f"dcp_{number}")
        return lambda: not future.done()


class Ours:
    """What the Trainer does."""

    name = "ours"

    def __init__(self, training: Training, folder: Path) -> None:
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), training.device)
        self.task: Any = SimpleNamespace(models={"net": training.model}, state=dict)
        self.optimizers = {"net": training.optimizer}
        checkpoints = CheckpointFolder(folder / "checkpoints", keep_last=2)
        self.saver = Saver(checkpoints, comm, RunState(folder))
        self.finite = FiniteCheck(None, checkpoints, lambda _: 100)  # type: ignore[arg-type]
        self.saver.look(self.task, self.optimizers)
        self.saver.finish()

    def save(self, number: int) -> Callable[[], bool]:
        """Save; returns whether it is still being written."""
        at = Position(0, number, number)
        self.finite.parameters(self.task.models, at)
        self.saver.save(self.task, self.optimizers, at, {})
        return self._is_written

    def _is_written(self) -> bool:
        self.saver.look(self.task, self.optimizers)
        return self.saver.is_writing


def measure(
    side: Any, training: Training, number: int, base_s: float
) -> tuple[float, float, float]:
    """Milliseconds of the pause, of the write in all, and lost by the steps beside it."""
    if training.device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    is_writing = side.save(number)
    pause = time.perf_counter() - begin
    lost = 0.0
    while is_writing():
        lost += training.step() - base_s
    return 1e3 * pause, 1e3 * (time.perf_counter() - begin), 1e3 * lost


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's own")
    arguments = parser.parse_args()
    log.setup(level=40)
    torch.set_num_threads(1)
    training = Training(torch.device(arguments.device))
    folder = Path(tempfile.mkdtemp(prefix="checkpoint_pause-", dir=arguments.folder))
    try:
        sides = [kind(training, folder) for kind in (InLine, AsyncSave, Ours)]
        base_s = statistics.median(training.step() for _ in range(200))
        found: dict[str, list[tuple[float, float, float]]] = {side.name: [] for side in sides}
        for number in range(1, arguments.rounds + 2):
            for side in sides:
                times = measure(side, training, number, base_s)
                if number > 1:  # the first round makes memory
                    found[side.name].append(times)
        print(f"steps of {1e3 * base_s:.1f} ms")
        print(
            f"{'':10} {'pause ms':>9} {'longest':>9} {'written after ms':>17} {'steps lost ms':>14}"
        )
        for name, rows in found.items():
            pause, whole, lost = (statistics.median(column) for column in zip(*rows, strict=True))
            longest = max(row[0] for row in rows)
            print(f"{name:10} {pause:9.1f} {longest:9.1f} {whole:17.1f} {lost:14.1f}")
        pauses = {name: statistics.median(row[0] for row in rows) for name, rows in found.items()}
        for rival in ("in line", "async_save"):
            print(f"pause, ours / {rival}: {pauses['ours'] / pauses[rival]:.3f}")
        print("aim: a pause of at most 60 ms")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
