"""Steps a second of the Trainer against a bare loop over the same model and data, in one process.

    python benchmarks/trainer_overhead.py [--steps 400] [--rounds 5] [--device cpu|cuda]

Both do the same arithmetic on the same batches of about 5 ms, read by the same data set: the bare
loop reads, computes and steps; the Trainer also logs, keeps time, polls for stops and writes its
state and TensorBoard points. TensorBoard is imported before, as it is after the first second of a
real run. Rounds alternate and the ratio is the median of their ratios; the first step, which fills
caches, is not counted. Beside the clock on the wall the loop's own processor time is shown: it is
the steadier one where other programs run, and leaves out what the Trainer's threads do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rundir import small_run

from hpctrain import log
from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.data import BatchLoader
from hpctrain.data.sampler import stream
from hpctrain.losses import criterion
from hpctrain.models import crop_to
from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.run import Run, RunState
from hpctrain.train.task import Place
from hpctrain.train.trainer import Trainer

FILES = 26
"""Epochs of 100 steps."""


class Stopwatch:
    """Wall and processor time of the calling thread, from the second step to the last."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.marks = device, []

    def step(self) -> None:
        """A step begins."""
        if self.device.type == "cuda" and len(self.marks) == 1:
            torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), time.thread_time()))

    def ms(self) -> tuple[float, float]:
        """Milliseconds a step: on the wall, and of the processor."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            self.marks[-1] = (time.perf_counter(), time.thread_time())
        (wall, cpu), (wall_end, cpu_end) = self.marks[1], self.marks[-1]
        steps = len(self.marks) - 2
        return 1e3 * (wall_end - wall) / steps, 1e3 * (cpu_end - cpu) / steps


def trainer_for(folder: Path, device: torch.device) -> Trainer:
    """A fresh Trainer on a plain regression of the given run directory."""
    run = Run(folder)
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), device)
    return Trainer(
        run, SuperResolutionTask(run.job, Place(run.path, 0, comm.device)), comm, RunState(folder)
    )


def time_trainer(folder: Path, device: torch.device) -> tuple[float, float]:
    """`Trainer.fit`, without validation, figures and checkpoints."""
    trainer, watch = trainer_for(folder, device), Stopwatch(device)
    step = trainer._step

    def timed(batch: Any) -> None:
        watch.step()
        step(batch)

    trainer._step = timed
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.fit()
    return watch.ms()


def time_bare_loop(folder: Path, device: torch.device) -> tuple[float, float]:
    """The loop that one would write by hand."""
    trainer, watch = trainer_for(folder, device), Stopwatch(device)
    model, optimizer = trainer.task.models["generator"], trainer.optimizers["generator"]
    loss_function = criterion("mse")
    reading = trainer.reading
    shares = stream(trainer.sampler, 0, 1, epochs=trainer.settings.epochs)
    with BatchLoader(
        trainer.data.train, shares, reading.workers, reading.prefetch_batches, device
    ) as loader:
        for batch in loader:
            watch.step()
            output = crop_to(model(batch.input), batch.target.shape[2:])
            optimizer.zero_grad()
            loss_function(output, batch.target).backward()
            optimizer.step()
    return watch.ms()


def main() -> None:
    """Print the table; no exit code depends on it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    import torch.utils.tensorboard.writer  # noqa: F401

    log.setup(level=40)
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    sides = {"bare loop": time_bare_loop, "trainer": time_trainer}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, measure in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(measure(small_run(Path(folder), arguments.steps, FILES), device))
    print(f"{'':10} {'steps/s':>9} {'ms/step':>9} {'processor ms/step':>19}")
    for name, values in found.items():
        wall, cpu = (statistics.median(times) for times in zip(*values, strict=True))
        print(f"{name:10} {1e3 / wall:9.1f} {wall:9.2f} {cpu:19.2f}")
    for i, kind in enumerate(("steps/s", "processor time")):
        pairs = zip(found["bare loop"], found["trainer"], strict=True)
        ratio = statistics.median(bare[i] / ours[i] for bare, ours in pairs)
        print(f"ratio of {kind}, trainer / bare loop: {ratio:.3f} (aim >= 0.98)")


if __name__ == "__main__":
    main()
