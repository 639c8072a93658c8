"""The mantle GAN's training step as the task makes it, on one slab: for the benchmarks beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.networks import Channels, CriticChannels, ResidualCritic, Srsgan
from hpctrain.config.task import Adversary, GradientPenalty, SuperResolution
from hpctrain.data import FieldBatch
from hpctrain.losses import criterion
from hpctrain.models import crop_to
from hpctrain.tasks.super_resolution.adversarial import AdversarialStep
from hpctrain.tasks.super_resolution.networks import make_critic, make_generator
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.precision import Precision
from hpctrain.train.recompute import checkpoint_activations
from hpctrain.train.update import Update

FACTOR, VARIABLES, LAMBDA, CRITIC_STEPS, EVERY = 8, 4, 10.0, 5, 16
CUBE = (10, 10, 10)
"""Cells of the generator's input, whose field is a sixteenth of the published slab."""
Step = Callable[[int], float]
"""Takes the number of the step; returns the critic's loss."""


class Slab(Pair):
    """A sample that is as large as the generator's output, which EarthGAN does not crop."""

    @property
    def condition(self) -> Tensor:
        """The upsampled input, cut to the field."""
        if self._condition is None:
            with torch.no_grad():
                up = F.interpolate(self.batch.input, scale_factor=FACTOR, mode="trilinear")
                self._condition = crop_to(up, self.target.shape[2:]).contiguous()
        return self._condition


def settings(
    base: int, *, is_fast: bool, critic_steps: int = CRITIC_STEPS, is_joint: bool = False
) -> SuperResolution:
    """The published networks, or narrower ones, and the rules of the game."""
    penalty = GradientPenalty(weight=LAMBDA)
    if is_fast:
        critic_steps, penalty = 1, GradientPenalty(kind="r1", weight=LAMBDA, every=EVERY)
    least = min(64, base // 8)
    return SuperResolution(
        task="super_resolution",
        epochs=1,
        global_batch_size=1,
        upscale_factor=FACTOR,
        generator=Srsgan(channels=Channels(base=base // 4, min=least)),
        adversary=Adversary(
            critic_steps=critic_steps,
            gradient_penalty=penalty,
            critic_batches="joint" if is_joint else "separate",
            discriminator=ResidualCritic(channels=CriticChannels(base=base, min=least)),
        ),
    )


def networks(block: SuperResolution) -> dict[str, nn.Module]:
    """Generator and discriminator."""
    return {
        "generator": make_generator(block, VARIABLES, VARIABLES),
        "discriminator": make_critic(block, 2 * VARIABLES),
    }


def sample(size: Sequence[int]) -> FieldBatch:
    """Smooth fields with some noise for a generator input of this size."""
    coarse = torch.randn(1, VARIABLES, *size)
    fine = F.interpolate(coarse, scale_factor=FACTOR, mode="trilinear")
    target = crop_to(fine, [FACTOR * n - 6 * (FACTOR - 1) for n in size])
    target = target + 0.1 * torch.randn_like(target)
    return FieldBatch((0,), 0, coarse, target, num_global=1)


def our_step(
    block: SuperResolution,
    precision: Precision,
    size: Sequence[int] = CUBE,
    is_checkpointed: bool = False,
) -> Step:
    """The task's step."""
    torch.manual_seed(0)
    names = networks(block)
    batch, adversary = sample(size), block.adversary
    assert adversary is not None
    if is_checkpointed:
        checkpoint_activations(names)
    precision.apply_layout(names)
    rules = {"generator": block.optimizer, "discriminator": adversary.optimizer}
    optimizers = {name: build_optimizer(rules[name], m.parameters()) for name, m in names.items()}
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    update = Update(comm, optimizers, autocast=precision.autocast(comm.device))
    advance = AdversarialStep(adversary, names["discriminator"], criterion(block.criterion))

    def step(number: int) -> float:
        pairs = [Slab(p, names["generator"], FACTOR, 0) for p in update.split(batch)]
        return float(advance(pairs, update, number)["discriminator"])

    return step
