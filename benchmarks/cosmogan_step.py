"""Training step of the DCGAN against a plain script in ExaGAN's published structure.

    python benchmarks/cosmogan_step.py [--size 128] [--batch 16] [--rounds 7] [--threads 1]

The plain scripts, in float32 and PyTorch's default layout:

- published: fields made by a pass of their own without gradients and with running means
  (`predict`), one discriminator update on true fields and one on made ones, then the generator
  through the stacked model, whose discriminator is frozen;
- equal: the same, but the losses on true and made fields are added for one update, and fields are
  made with the means of the batch, as in our step: the same arithmetic in meaning, so that losses
  of the first step are compared before anything is timed.

Steps are interleaved and medians of the process's CPU time are compared, which other programs
disturb least. Both sides have the same networks, noise, rescaled channel and flipped labels.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.field_gan import FieldGan
from hpctrain.data import FieldBatch, Scales
from hpctrain.data.scales import FieldNorm
from hpctrain.tasks.field_gan.draw import FLIP_STREAM, NOISE_STREAM, Draw
from hpctrain.tasks.field_gan.networks import make_critic, make_generator
from hpctrain.tasks.field_gan.rescaling import Rescaling
from hpctrain.tasks.field_gan.step import FieldGanStep
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.precision import Precision
from hpctrain.train.update import Update

Networks = tuple[nn.Module, nn.Module]
SETTINGS = FieldGan(task="field_gan", epochs=1, global_batch_size=2, rescaled_by=[1000.0])
RESCALING = Rescaling(
    Scales(("z=0",), (0.0,), (1.0,), norms=(FieldNorm(0, 1, "ratio", {"a": 4.0}),)), [1000.0]
)


def plain_step(
    networks: Networks, batch: FieldBatch, *, is_published: bool
) -> Callable[[], Tensor]:
    """A step of the plain script; returns the discriminator's loss."""
    generator, critic = networks
    optimizers = [
        torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (critic, generator)
    ]
    draw = Draw(batch, generator, RESCALING, generator.noise_size, seed=0)
    flips = [(draw.signs(FLIP_STREAM + i, 0.01) < 0).float() for i in range(2)]

    def rescaled(x: Tensor) -> Tensor:
        counts = 4 * (1 + x) / (1 - x.clamp(max=0.9992))
        return torch.cat((x, torch.tanh(counts / 1000)), 1)

    def step() -> Tensor:
        noise = draw._rows(NOISE_STREAM, generator.noise_size, "normal_")
        generator.train(not is_published)
        with torch.no_grad():
            fake = rescaled(generator(noise))
        generator.train()
        real = rescaled(batch.target)
        total, losses = torch.zeros(()), []
        for fields, label in ((real, 1 - flips[0]), (fake, flips[1])):
            loss = F.binary_cross_entropy_with_logits(critic(fields), label)
            losses.append(loss)
            if is_published:
                _update(optimizers[0], loss)
        total = torch.stack(losses).sum()
        if not is_published:
            _update(optimizers[0], total)
        critic.requires_grad_(False)
        logits = critic(rescaled(generator(noise)))
        _update(optimizers[1], F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)))
        critic.requires_grad_(True)
        return total.detach()

    return step


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def our_step(
    networks: Networks, batch: FieldBatch, precision: Precision, implementation: str = "auto"
) -> Callable[[], Tensor]:
    """The task's step; returns the discriminator's loss."""
    names = dict(zip(("generator", "discriminator"), networks, strict=True))
    precision.apply_layout(names)
    block = SETTINGS.optimizer.model_copy(update={"implementation": implementation})
    optimizers = {name: build_optimizer(block, m.parameters()) for name, m in names.items()}
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    update = Update(comm, optimizers, autocast=precision.autocast(comm.device))
    advance = FieldGanStep(SETTINGS.adversary, networks[1], lambda made, true: torch.zeros(()))
    noise_size = SETTINGS.generator.noise_size

    def step() -> Tensor:
        draws = [Draw(p, networks[0], RESCALING, noise_size, 0) for p in update.split(batch)]
        return advance(draws, update, 0)["discriminator"]

    return step


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    shape = (1, given.size, given.size)
    networks = make_generator(SETTINGS, 1, shape), make_critic(SETTINGS, 2, shape)
    counts = torch.distributions.Gamma(0.3, 0.3).sample((given.batch, 1, *shape)).round()
    ids, empty = tuple(range(given.batch)), torch.empty(given.batch, 0, 1, 1, 1)
    target = 2 * counts / (counts + 4) - 1
    batch = FieldBatch(ids, 0, empty, target, num_global=given.batch)
    half = Precision("bfloat16", "asked for", "channels_last")

    def own() -> Networks:
        return copy.deepcopy(networks)

    steps = {
        "plain, published": plain_step(own(), batch, is_published=True),
        "plain, equal": plain_step(own(), batch, is_published=False),
        "ours, float32": our_step(own(), batch, Precision("float32", "asked for")),
        "ours, float32, channels last": our_step(
            own(), batch, Precision("float32", "asked for", "channels_last")
        ),
        "ours, bfloat16, channels last": our_step(own(), batch, half),
        "ours, the same, fused Adam": our_step(own(), batch, half, "fused"),
    }
    first = {name: float(step()) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(given.rounds):
        for name, step in steps.items():
            begin = time.process_time()
            step()
            times[name].append(1e3 * (time.process_time() - begin))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{given.batch} x {given.size}^2, {given.threads} thread(s), {given.rounds} rounds")
    print(
        f"{'step':32}{'median ms':>11}{'least ms':>10}{'published /':>13}{'equal /':>9}{'loss':>9}"
    )
    for name, ms in medians.items():
        ratios = (medians[f"plain, {kind}"] / ms for kind in ("published", "equal"))
        a, b = ratios
        print(f"{name:32}{ms:11.0f}{min(times[name]):10.0f}{a:13.2f}{b:9.2f}{first[name]:9.4f}")
    assert abs(first["ours, float32"] - first["plain, equal"]) < 1e-4, "unequal arithmetic"


if __name__ == "__main__":
    main()
