"""Reconstruction by the scroll VAE against principal components of the same number.

    python benchmarks/quality_vae.py [--minutes 3] [--data data/scroll] [--volumes "*.volpkg"]

All code held-out cubes of 32^3 voxels in 512 numbers, and get the same CPU time, in which reading
is counted. Two rivals: components of as many cubes as can be read and decomposed in it (randomised,
Halko et al. 2011), and components of a covariance that is added up over cubes and their mirror
images, which are as likely, so that it needs 8 times fewer. The VAE gets its loss from the evidence
lower bound, with the weight of the divergence that is given. The sample is written where it is not
there: `hpctrain sample scroll`. PSNR is relative to the span of held-out cubes.
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
from hpctrain.losses.vae import kl_divergence
from hpctrain.models.volume_blocks import BLOCKS
from hpctrain.samples.scroll import write_sample
from hpctrain.tasks.scroll_vae.bound import bound, make_vae
from hpctrain.tasks.scroll_vae.components import components_of
from hpctrain.tasks.scroll_vae.draws import NOISE_STREAM, normal_rows
from hpctrain.tasks.scroll_vae.evaluation import ACTIVE
from hpctrain.train.ema import Ema
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.precision import Precision
from hpctrain.train.update import Update

COMPONENTS = 512
MOST_CUBES = 16384
"""Cubes that components are found from at most: 2.1 GB."""
CHUNK = 64


def make_job(given: argparse.Namespace) -> Job:
    """The shipped job's data; what the network is, is given."""
    network = {
        "block": given.block,
        "latent": given.latent,
        "channels": given.channels,
        "layers": given.layers,
        "latent_dim": COMPONENTS,
        "linear_windows": given.windows,
    }
    papyrus = {"papyrus_above": given.papyrus_above, "papyrus_share": 0.2}
    return Job.model_validate(
        {
            "name": "quality",
            "resources": {"ranks_per_node": 1, "walltime": "01:00:00"},
            "data": {
                "kind": "scroll",
                "root": str(given.data),
                "volumes": [given.volumes],
                "sample": "cube",
                "window": [32, 32, 32],
                "samples_per_epoch": 1 << 20,
                **(papyrus if given.papyrus_above else {}),
                "validation": {"share": given.share, "axis": given.axis, "samples": 256},
                "augment": {"flip_depth": True},
            },
            "train": {
                "task": "scroll_vae",
                "epochs": 1,
                "global_batch_size": given.batch,
                "network": network,
                "divergence": {"weight": given.weight},
                "optimizer": {"learning_rate": given.rate},
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
    """Mean squared error of the components, and the cubes they come from; a quarter reads."""
    begin, cubes, count = time.process_time(), [], 0
    while count < MOST_CUBES and time.process_time() - begin < seconds / 4:
        cubes.append(read(train, count, CHUNK).volume.flatten(1))
        count += CHUNK
    x = torch.cat(cubes)
    cubes.clear()
    mean = x.mean(0)
    x -= mean
    _, _, components = torch.pca_lowrank(x, q=COMPONENTS + 30, center=False, niter=2)
    components = components[:, :COMPONENTS]
    y = held_out.flatten(1) - mean
    return float((y @ components @ components.T - y).square().mean()), count


def by_mirrored(train: ScrollDataset, held_out: Tensor, seconds: float) -> tuple[float, int]:
    """The same of a covariance of even and odd parts, which no mirror image mixes."""
    begin, count = time.process_time(), 0
    sums, squares = torch.zeros(8, 4096), torch.zeros(8, 4096, 4096)
    while time.process_time() - begin < 0.85 * seconds - 5:
        for own, total, square in zip(
            parts(read(train, count, CHUNK).volume), sums, squares, strict=True
        ):
            total += own.sum(0)
            square.addmm_(own.T, own)
        count += CHUNK
    mean = sums[0] / count
    squares[0].addr_(mean, mean, alpha=-count)
    found = []
    for square in squares:
        basis = torch.randn(4096, COMPONENTS // 2)
        for _ in range(4):
            basis = torch.linalg.qr(square @ basis).Q
        values, turn = torch.linalg.eigh(basis.T @ square @ basis)
        found.append((values, basis @ turn))
    least = torch.cat([values for values, _ in found]).sort().values[-COMPONENTS]
    error = 0.0
    for number, (y, (values, basis)) in enumerate(zip(parts(held_out), found, strict=True)):
        own, kept = y - mean if number == 0 else y, basis[:, values >= least]
        error += float((own @ kept @ kept.T - own).square().sum())
    return error / held_out.numel(), count


def parts(volumes: Tensor) -> Tensor:
    """Cubes (B, 1, 32, 32, 32) to (8, B, 4096): even and odd along each axis."""
    x = volumes[:, 0]
    for axis in (1, 2, 3):
        low, high = x.narrow(axis, 0, 16), x.narrow(axis, 16, 16).flip(axis)
        x = torch.cat((low + high, low - high), axis) * math.sqrt(0.5)
    x = x.view(-1, 2, 16, 2, 16, 2, 16).permute(1, 3, 5, 0, 2, 4, 6)
    return x.reshape(8, len(volumes), 4096)


class Training:
    """The task's step on new cubes, as long as there is time."""

    def __init__(self, settings: ScrollVae, train: ScrollDataset) -> None:
        begin = time.process_time()
        torch.manual_seed(0)
        self.settings, self.train = settings, train
        self.vae = make_vae(settings, (32, 32, 32))
        if settings.network.linear_windows:
            found = components_of(train, settings.network.linear_windows, COMPONENTS)
            self.vae.begin_with(found)
        precision = Precision("bfloat16", "asked for", "channels_last")
        precision.apply_layout({"vae": self.vae})
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
        self.optimizer = build_optimizer(settings.optimizer, self.vae.parameters())
        autocast = precision.autocast(comm.device)
        self.update = Update(comm, {"vae": self.optimizer}, autocast=autocast, clip_grad_norm=1.0)
        assert settings.ema is not None
        self.ema = Ema(settings.ema, {"vae": self.vae})
        self.steps, self.used = 0, time.process_time() - begin

    def train_for(self, seconds: float, whole: float) -> None:
        """Step for some CPU time; the rate falls to 0 over the whole of it."""
        last, size = time.process_time(), self.settings.global_batch_size
        while self.used < seconds:
            rate = 0.5 * (1 + math.cos(math.pi * self.used / whole))
            rate = max(rate, 0.01) * min(1.0, (self.steps + 1) / 20)
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.optimizer.learning_rate * rate
            batch = read(self.train, self.steps * size, size)
            self.losses = self.update("vae", self._loss, self.update.split(batch))
            self.ema.step()
            self.steps += 1
            now = time.process_time()
            self.used, last = self.used + now - last, now

    @torch.no_grad()
    def judged(self, held_out: Tensor) -> tuple[float, float, int]:
        """Mean squared error by the posterior's mean, nats of divergence a cube, active units."""
        with self.ema.applied():
            self.vae.eval()
            coded = [self.vae(part) for part in held_out.split(CHUNK)]
            self.vae.train()
        mean = torch.cat([own.mean for own in coded])
        log_variance = torch.cat([own.log_variance for own in coded])
        error = (torch.cat([own.output.float() for own in coded]) - held_out).square().mean()
        nats = kl_divergence(mean, log_variance)
        return float(error), float(nats), int((mean.var(0) > ACTIVE).sum())

    def _loss(self, part: ScrollBatch) -> dict[str, Tensor]:
        noise = normal_rows(COMPONENTS, 0, 0, part.ids, NOISE_STREAM, part.volume.device)
        coded = self.vae(part.volume, noise)
        found = bound(self.settings, coded, part.volume, self.vae.deviation, self.steps)
        return found._asdict()


def main() -> None:
    """Print all errors as the VAE learns, and write them as JSON where asked."""
    given = _asked()
    torch.set_num_threads(given.threads)
    if given.data == SAMPLE:
        write_sample(given.data)
    job = make_job(given)
    assert isinstance(job.data, Scroll)
    assert isinstance(job.train, ScrollVae)
    index = build_job_index(job, Path.cwd())
    train, validation = (ScrollDataset(job.data, index, s, 0) for s in ("train", "validation"))
    train.scales = validation.scales = validation.measure_scales(train.measure_scales())
    held_out = read(validation, 0, len(validation)).volume
    span, variance = float(held_out.max() - held_out.min()), float(held_out.var(0).mean())
    seconds = 60 * given.minutes

    def shown(mse: float) -> str:
        return f"PSNR {psnr(mse, span):.3f} dB, {1 - mse / variance:.2%} explained"

    best = math.inf
    found: dict[str, Any] = {"span": span, "components": {}, "vae": []}
    for name in given.rivals:
        begin = time.process_time()
        mse, count = RIVALS[name](train, held_out, seconds)
        took, best = time.process_time() - begin, min(mse, best)
        found["components"][name] = {"psnr": psnr(mse, span), "cubes": count, "cpu_s": took}
        print(
            f"{COMPONENTS} components, {name}, of {count} cubes, {took:.0f} s of CPU: {shown(mse)}",
            flush=True,
        )
    training = Training(job.train, train)
    for part in range(1, 7):
        training.train_for(seconds * part / 6, seconds)
        own, nats, active = training.judged(held_out)
        row = {"psnr": psnr(own, span), "steps": training.steps, "cpu_s": training.used}
        found["vae"].append({**row, "divergence": nats, "active_units": active})
        print(
            f"VAE, {training.steps} steps, {training.used:.0f} s of CPU: {shown(own)}; "
            f"{nats:.0f} nats a cube, {active} active units",
            flush=True,
        )
    if given.rivals:
        print(
            f"VAE above the better components by {psnr(own, span) - psnr(best, span):+.3f} dB; "
            f"its squared error is {own / best:.4f} of theirs"
        )
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="of CPU time, each")
    parser.add_argument("--data", type=Path, default=SAMPLE)
    parser.add_argument("--volumes", default="*.volpkg")
    parser.add_argument("--papyrus-above", type=float, default=17000.0, help="0: any window")
    parser.add_argument("--axis", default="z", help="along which a part is held out")
    parser.add_argument("--share", type=float, default=0.15, help="that is held out")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--windows", type=int, default=4096, help="of the linear path; 0: none")
    parser.add_argument("--latent", choices=("grid", "vector"), default="vector")
    parser.add_argument("--block", choices=BLOCKS, default="batch_norm")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--weight", type=float, default=1.0, help="of the divergence")
    parser.add_argument("--rate", type=float, default=3.0e-3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


RIVALS = {"plain": by_components, "mirrored": by_mirrored}
SAMPLE = Path("data/scroll")


if __name__ == "__main__":
    main()
