"""Steps a second of the Trainer against a bare loop over the same model and data, in one process.

    python benchmarks/trainer_overhead.py [--steps 200] [--rounds 5]

Both do the same arithmetic on the same batches, read by the same data set: the bare loop reads,
computes and steps; the Trainer also logs, keeps time, polls for stops and writes its state and
TensorBoard points. TensorBoard is imported before, as it is after the first second of a real run.
Rounds alternate; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rundir import small_run

from hpctrain import log
from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.losses import criterion
from hpctrain.models import crop_to
from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.run import Run, RunState
from hpctrain.train.task import Place
from hpctrain.train.trainer import Trainer


def trainer_for(folder: Path) -> Trainer:
    """A fresh Trainer on a plain regression of the given run directory."""
    run = Run(folder)
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    return Trainer(
        run, SuperResolutionTask(run.job, Place(run.path, 0, comm.device)), comm, RunState(folder)
    )


def time_trainer(folder: Path) -> float:
    """Steps a second of `Trainer.fit`, without validation, figures and checkpoints."""
    trainer = trainer_for(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.fit()
    return 1 / trainer.clock.mean_step_s


def time_bare_loop(folder: Path) -> float:
    """Steps a second of the loop that one would write by hand."""
    from hpctrain.data import BatchLoader, stream

    trainer = trainer_for(folder)
    model, optimizer = trainer.task.models["generator"], trainer.optimizers["generator"]
    loss_function = criterion("mse")
    epochs, data = trainer.settings.epochs, trainer.reading
    shares = stream(trainer.sampler, 0, 1, epochs=epochs)
    seen, begin = 0, 0.0
    with BatchLoader(trainer.data.train, shares, data.workers, data.prefetch_batches) as loader:
        for batch in loader:
            if seen == 1:
                begin = (
                    time.perf_counter()
                )  # the first step fills caches; the Trainer's clock skips it too
            output = crop_to(model(batch.input), batch.target.shape[2:])
            optimizer.zero_grad()
            loss_function(output, batch.target).backward()
            optimizer.step()
            seen += 1
    return (seen - 1) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    import torch.utils.tensorboard.writer  # noqa: F401

    log.setup(level=40)
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {"trainer": [], "bare loop": []}
    for _ in range(arguments.rounds):
        for name, measure in (("bare loop", time_bare_loop), ("trainer", time_trainer)):
            with tempfile.TemporaryDirectory() as folder:
                rates[name].append(measure(small_run(Path(folder), steps=arguments.steps)))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:10}  {value:8.1f} steps/s  {1e3 / value:6.2f} ms/step")
    print(
        f"ratio trainer / bare loop: {medians['trainer'] / medians['bare loop']:.3f} (aim >= 0.97)"
    )


if __name__ == "__main__":
    main()
