"""Training step of the scroll VAE against a plain script, for both networks of the notebook.

    python benchmarks/scroll_step.py [--batch 16] [--rounds 7] [--threads 2]

- listing 1: convolutions 1-32-64-128-256 of 3^3, each with ReLU and a pool (`block: plain`, 4
  layers), 4.66 M parameters;
- listing 2: strided 2^3 and 3^3 convolutions with batch norm, 32-64-128 (`block: batch_norm`).

The plain script is written from the notebook's description: float32, torch's default layout, noise
from the CPU, Adam, the sum of squared errors and KL divergence. Both sides begin with the same
weights and noise, and losses of the first step are compared before anything is timed. Steps are
interleaved, and medians of wall and CPU time are shown; the CPU's is the one to trust where other
programs share the machine.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.scroll import ScrollBatch
from hpctrain.models.vae import Vae3d
from hpctrain.tasks.scroll_vae.bound import bound, make_vae
from hpctrain.tasks.scroll_vae.draws import NOISE_STREAM, normal_rows
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.precision import Precision
from hpctrain.train.update import Update

LATENT = 512
NETWORKS = {"listing 1": {"block": "plain", "layers": 4}, "listing 2": {"block": "batch_norm"}}


class PlainVae(nn.Module):
    """The notebook's network, as one would write it down."""

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        self.has_norm = kind == "listing 2"
        widths = [32, 64, 128] if self.has_norm else [32, 64, 128, 256]
        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        for a, b in zip([1, *widths], widths, strict=False):
            self.encoder.extend(self._down(a, b))
        for i, (a, b) in enumerate(zip(widths[::-1], [*widths[-2::-1], 1], strict=True)):
            self.decoder.extend(self._up(a, b))
            if i < len(widths) - 1:
                self.decoder.append(nn.ReLU())
        self.shape = (widths[-1], *[size // 2 ** len(widths)] * 3)
        self.latent = nn.Linear(math.prod(self.shape), 2 * LATENT)
        self.start = nn.Linear(LATENT, math.prod(self.shape))

    def _down(self, a: int, b: int) -> list[nn.Module]:
        if self.has_norm:
            strided = [nn.Conv3d(a, b, 2, stride=2), nn.ReLU()]
            return [
                *strided,
                nn.Conv3d(b, b, 3, padding=1, bias=False),
                nn.BatchNorm3d(b),
                nn.ReLU(),
            ]
        return [nn.Conv3d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)]

    def _up(self, a: int, b: int) -> list[nn.Module]:
        before = []
        if self.has_norm:
            before = [nn.Conv3d(a, a, 3, padding=1, bias=False), nn.BatchNorm3d(a), nn.ReLU()]
        return [*before, nn.ConvTranspose3d(a, b, 2, stride=2)]

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output, mean and log-variance."""
        mean, log_variance = self.latent(self.encoder(x).flatten(1)).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * noise
        return self.decoder(F.relu(self.start(z)).view(-1, *self.shape)), mean, log_variance


def plain_step(network: PlainVae, batch: ScrollBatch) -> Callable[[], Tensor]:
    """A step of the plain script; returns the loss."""
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    x = batch.volume
    constant = 0.5 * math.log(2 * math.pi)

    def step() -> Tensor:
        noise = normal_rows(LATENT, 0, 0, batch.ids, NOISE_STREAM, x.device)
        output, mean, log_variance = network(x, noise)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        loss = (0.5 * (output - x).square().sum() + kl) / x.numel() + constant
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def our_step(
    settings: ScrollVae, network: Vae3d, batch: ScrollBatch, precision: Precision
) -> Callable[[], Tensor]:
    """The task's step; returns the loss."""
    precision.apply_layout({"vae": network})
    optimizers = {"vae": build_optimizer(settings.optimizer, network.parameters())}
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    update = Update(comm, optimizers, autocast=precision.autocast(comm.device))

    def loss(part: ScrollBatch) -> dict[str, Tensor]:
        noise = normal_rows(LATENT, 0, part.epoch, part.ids, NOISE_STREAM, part.volume.device)
        coded = network(part.volume, noise)
        return bound(settings, coded, part.volume, network.deviation, 0)._asdict()

    return lambda: update("vae", loss, update.split(batch))["loss"]


def same_weights(network: Vae3d, plain: PlainVae) -> None:
    """Give both the same weights: their layers come in the same order."""
    own = [*network.encoder.state_dict().values(), *network.decoder.state_dict().values()]
    theirs = [*plain.encoder.state_dict().values(), *plain.decoder.state_dict().values()]
    for a, b in zip(own, theirs, strict=True):
        b.copy_(a)
    plain.latent.load_state_dict(network.to_latent[1].state_dict())
    plain.start.load_state_dict(network.from_latent.state_dict())


def compare(kind: str, batch: ScrollBatch, rounds: int) -> None:
    """Print the table of one network."""
    torch.manual_seed(0)
    size = batch.volume.shape[-1]
    settings = ScrollVae(
        task="scroll_vae",
        epochs=1,
        global_batch_size=len(batch.ids),
        network={"latent_dim": LATENT, **NETWORKS[kind]},
        deviation=1.0,
    )
    network, plain = make_vae(settings, (size, size, size)), PlainVae(kind, size)
    same_weights(network, plain)
    numbers = sum(p.numel() for p in network.parameters())
    steps = {"plain script": plain_step(plain, batch)}
    for precision in (
        Precision("float32", "asked for"),
        Precision("float32", "asked for", "channels_last"),
        Precision("bfloat16", "asked for", "channels_last"),
    ):
        steps[f"ours, {precision}"] = our_step(settings, copy.deepcopy(network), batch, precision)
    first = {name: float(step()) for name, step in steps.items()}
    for step in steps.values():
        step()
    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begin, begin_cpu = time.perf_counter(), time.process_time()
            step()
            wall[name].append(1e3 * (time.perf_counter() - begin))
            cpu[name].append(1e3 * (time.process_time() - begin_cpu))
    print(f"\n{kind}, {numbers:,} parameters")
    print(
        f"{'step':30}{'wall ms':>9}{'least':>7}{'cpu ms':>8}{'plain / (wall, cpu)':>21}{'loss':>9}"
    )
    base_wall, base_cpu = (statistics.median(x["plain script"]) for x in (wall, cpu))
    for name in steps:
        a, b = statistics.median(wall[name]), statistics.median(cpu[name])
        ratios = f"{base_wall / a:.2f} {base_cpu / b:.2f}"
        print(f"{name:30}{a:9.0f}{min(wall[name]):7.0f}{b:8.0f}{ratios:>21}{first[name]:9.4f}")
    assert abs(first["ours, float32"] - first["plain script"]) < 1e-5, "unequal arithmetic"


def main() -> None:
    """Print a table of milliseconds and ratios for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cubes = torch.randn(given.batch, 1, *[given.size] * 3, generator=torch.manual_seed(1))
    batch = ScrollBatch(
        tuple(range(given.batch)),
        0,
        cubes,
        None,
        torch.ones(given.batch, given.size, given.size, dtype=torch.bool),
        torch.zeros(given.batch, 3, dtype=torch.int64),
        ("",) * given.batch,
        num_global=given.batch,
    )
    print(
        f"{given.batch} cubes of {given.size}^3, {given.threads} thread(s), {given.rounds} rounds"
    )
    for kind in NETWORKS:
        compare(kind, batch, given.rounds)


if __name__ == "__main__":
    main()
