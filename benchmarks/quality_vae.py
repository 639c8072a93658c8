"""Reconstruction by the scroll VAE against principal components of the same number.

    python benchmarks/quality_vae.py [--minutes 6] [--data data/scroll] [--latent grid]

Both code held-out cubes of 32^3 voxels in 512 numbers. Both get the same CPU time, in which reading
is counted: the principal components as many cubes as they can read and decompose in it (randomised,
Halko et al. 2011), the VAE as many steps as it can make, each on new cubes. The sample is written
where it is not there: `hpctrain sample scroll`. PSNR is relative to the span of held-out cubes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.job import Job
from hpctrain.config.scroll_data import Scroll
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.sampler import Share
from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.index.of_job import build_job_index
from hpctrain.samples.scroll import write_sample
from hpctrain.tasks.scroll_vae.bound import bound, make_vae
from hpctrain.tasks.scroll_vae.draws import NOISE_STREAM, normal_rows
from hpctrain.train.ema import Ema
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.precision import Precision
from hpctrain.train.update import Update

COMPONENTS = 512
MOST_CUBES = 6000
"""Cubes that the components are found from at most: 0.8 GB."""
BATCH = 32


def make_job(root: Path, latent: str, channels: int, rate: float) -> Job:
    """The shipped job's settings, with less weight on the divergence: errors are what counts."""
    return Job.model_validate(
        {
            "name": "quality",
            "resources": {"ranks_per_node": 1, "walltime": "01:00:00"},
            "data": {
                "kind": "scroll",
                "root": str(root),
                "volumes": ["*.volpkg"],
                "sample": "cube",
                "window": [32, 32, 32],
                "samples_per_epoch": 1 << 20,
                "papyrus_above": 17000,
                "papyrus_share": 0.2,
                "validation": {"share": 0.15, "axis": "z", "samples": 256},
                "augment": {"flip_depth": True},
            },
            "train": {
                "task": "scroll_vae",
                "epochs": 1,
                "global_batch_size": BATCH,
                "network": {"latent": latent, "channels": channels, "latent_dim": COMPONENTS},
                "divergence": {"weight": 0.01},
                "optimizer": {"learning_rate": rate},
                "ema": {"models": ["vae"], "decay": 0.98},
            },
        }
    )


def read(dataset: ScrollDataset, first: int, count: int) -> ScrollBatch:
    """Samples of a data set."""
    ids = tuple(range(first, first + count))
    return dataset.read_batch(Share(0, 0, ids, count))


def psnr(mse: float, span: float) -> float:
    """In decibels."""
    return 10 * math.log10(span**2 / mse)


def by_components(train: ScrollDataset, held_out: Tensor, seconds: float) -> tuple[float, int]:
    """Mean squared error of the components, and the cubes they come from; half the time reads."""
    begin, cubes, count = time.process_time(), [], 0
    while count < MOST_CUBES and time.process_time() - begin < seconds / 2:
        cubes.append(read(train, count, BATCH).volume.flatten(1))
        count += BATCH
    x = torch.cat(cubes)
    mean = x.mean(0)
    x -= mean
    _, _, components = torch.pca_lowrank(x, q=COMPONENTS + 30, center=False, niter=2)
    components = components[:, :COMPONENTS]
    y = held_out.flatten(1) - mean
    return float((y @ components @ components.T - y).square().mean()), count


class Training:
    """The task's step on new cubes, as long as there is time."""

    def __init__(self, settings: ScrollVae, train: ScrollDataset) -> None:
        torch.manual_seed(0)
        self.settings, self.train = settings, train
        self.vae = make_vae(settings, (32, 32, 32))
        precision = Precision("bfloat16", "asked for", "channels_last")
        precision.apply_layout({"vae": self.vae})
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
        self.optimizer = build_optimizer(settings.optimizer, self.vae.parameters())
        autocast = precision.autocast(comm.device)
        self.update = Update(comm, {"vae": self.optimizer}, autocast=autocast, clip_grad_norm=1.0)
        assert settings.ema is not None
        self.ema = Ema(settings.ema, {"vae": self.vae})
        self.steps, self.used = 0, 0.0

    def train_for(self, seconds: float, whole: float) -> None:
        """Step for some CPU time; the rate falls to 0 over the whole of it."""
        last = time.process_time()
        while self.used < seconds:
            rate = 0.5 * (1 + math.cos(math.pi * self.used / whole))
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.optimizer.learning_rate * max(rate, 0.01)
            batch = read(self.train, self.steps * BATCH, BATCH)
            self.update("vae", self._loss, self.update.split(batch))
            self.ema.step()
            self.steps += 1
            now = time.process_time()
            self.used, last = self.used + now - last, now

    def error(self, held_out: Tensor) -> float:
        """Mean squared error of held-out cubes by the posterior's mean."""
        with torch.no_grad(), self.ema.applied():
            self.vae.eval()
            made = [self.vae(part).output.float() for part in held_out.split(BATCH)]
            self.vae.train()
        return float((torch.cat(made) - held_out).square().mean())

    def _loss(self, part: ScrollBatch) -> dict[str, Tensor]:
        noise = normal_rows(COMPONENTS, 0, 0, part.ids, NOISE_STREAM, part.volume.device)
        coded = self.vae(part.volume, noise)
        found = bound(self.settings, coded, part.volume, self.vae.deviation, self.steps)
        return found._asdict()


def main() -> None:
    """Print both errors as the VAE learns, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6.0, help="of CPU time, each")
    parser.add_argument("--data", type=Path, default=Path("data/scroll"))
    parser.add_argument("--latent", choices=("grid", "vector"), default="grid")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3.0e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    write_sample(given.data)
    job = make_job(given.data, given.latent, given.channels, given.rate)
    assert isinstance(job.data, Scroll)
    assert isinstance(job.train, ScrollVae)
    index = build_job_index(job, Path.cwd())
    train, validation = (ScrollDataset(job.data, index, s, 0) for s in ("train", "validation"))
    train.scales = validation.scales = validation.measure_scales(train.measure_scales())
    held_out = read(validation, 0, len(validation)).volume
    span, variance = float(held_out.max() - held_out.min()), float(held_out.var(0).mean())
    seconds = 60 * given.minutes
    begin = time.process_time()
    mse, count = by_components(train, held_out, seconds)
    took = time.process_time() - begin
    print(
        f"{COMPONENTS} components of {count} cubes: PSNR {psnr(mse, span):.2f} dB, "
        f"{1 - mse / variance:.1%} explained, {took:.0f} s of CPU",
        flush=True,
    )
    training, seconds = Training(job.train, train), max(seconds, took)
    found: dict[str, Any] = {
        "components": {"psnr": psnr(mse, span), "cubes": count, "cpu_s": took},
        "vae": [],
    }
    for part in range(1, 9):
        training.train_for(seconds * part / 8, seconds)
        own = training.error(held_out)
        row = {"psnr": psnr(own, span), "steps": training.steps, "cpu_s": training.used}
        found["vae"].append(row)
        print(
            f"VAE, {given.latent}, {training.steps} steps, {training.used:.0f} s of CPU: PSNR "
            f"{row['psnr']:.2f} dB, {1 - own / variance:.1%} explained",
            flush=True,
        )
    print(f"VAE above components by {found['vae'][-1]['psnr'] - psnr(mse, span):+.2f} dB")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
