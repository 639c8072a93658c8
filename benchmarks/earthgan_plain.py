"""EarthGAN's training step as a plain script, from the published structure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from earthgan_case import CRITIC_STEPS, CUBE, FACTOR, LAMBDA, Slab, networks, sample
from torch import Tensor, nn

from hpctrain.config.task import SuperResolution
from hpctrain.models import SrDiscriminator, SrGenerator
from hpctrain.models.resample import narrow_by


class PlainStep:
    """A training step in float32 and PyTorch's default layout; see `earthgan_step.py` for kinds."""

    def __init__(self, block: SuperResolution, kind: str) -> None:
        torch.manual_seed(0)
        self.generator, self.critic = networks(block).values()
        self.batch = sample(CUBE)
        self.adams = {
            m: torch.optim.Adam((p for p in m.parameters() if p.requires_grad), 1e-4, (0.0, 0.9))
            for m in (self.generator, self.critic)
        }
        slab = Slab(self.batch, self.generator, FACTOR, 0)
        self.mixes = [slab.mix(k) for k in range(CRITIC_STEPS)]
        self.kind = kind

    def __call__(self, number: int) -> float:
        """One step; returns the mean of the critic's losses."""
        up = Slab(self.batch, self.generator, FACTOR, 0).condition
        losses = self._published(up) if self.kind == "published" else self._equal(up)
        return float(torch.stack([loss.detach() for loss in losses]).mean())

    def _published(self, up: Tensor) -> list[Tensor]:
        critic, losses = self.critic, []
        for mix in self.mixes:
            fake = plain_generator(self.generator, self.batch.input)
            real, made = torch.cat((self.batch.target, up), 1), torch.cat((fake, up), 1)
            scores = plain_critic(critic, real), plain_critic(critic, made)
            between = mix * real + (1 - mix) * made
            losses.append(_critic_loss(*scores, between, plain_critic(critic, between)))
            self._update(critic, losses[-1], is_kept=True)
        self._update(self.generator, -plain_critic(critic, torch.cat((fake, up), 1)).mean())
        return losses

    def _equal(self, up: Tensor) -> list[Tensor]:
        critic, losses, truth = self.critic, [], self.batch.target
        fake = plain_generator(self.generator, self.batch.input)
        for mix in self.mixes:
            real, made = torch.cat((truth, up), 1), torch.cat((fake.detach(), up), 1)
            if self.kind == "equal":
                scores = plain_critic(critic, real), plain_critic(critic, made)
            else:
                both = plain_critic(critic, torch.cat((real, made)))
                scores = both[:1], both[1:]
            between = (mix * truth + (1 - mix) * fake.detach()).requires_grad_()
            seen = plain_critic(critic, torch.cat((between, up), 1))
            losses.append(_critic_loss(*scores, between, seen))
            self._update(critic, losses[-1])
        trained = [p for p in critic.parameters() if p.requires_grad]
        for p in trained:
            p.requires_grad_(False)
        self._update(self.generator, -plain_critic(critic, torch.cat((fake, up), 1)).mean())
        for p in trained:
            p.requires_grad_(True)
        return losses

    def _update(self, network: nn.Module, loss: Tensor, *, is_kept: bool = False) -> None:
        network.zero_grad()
        loss.backward(retain_graph=is_kept)
        self.adams[network].step()


def plain_generator(generator: SrGenerator, x: Tensor) -> Tensor:
    """The published order of layers with our weights: upsample, then convolve."""

    def draw(like: Tensor) -> Tensor:
        return torch.randn_like(like[:, :1])

    y, x = generator.direct(x), generator.head(x)
    for block in generator.blocks:
        x = _up(block.noise1(x, draw))
        x = block.activation(F.conv3d(x, block.conv1.weight, block.conv1.bias))
        x = block.activation(block.conv2(block.noise2(x, draw)))
        y = narrow_by(_up(y), 2) + block.bend(block.project(x))
    return y


def plain_critic(critic: SrDiscriminator, x: Tensor) -> Tensor:
    """The published order of layers with our weights: project, add, then average."""
    x = critic.head(x)
    for block in critic.blocks:
        y = block.activation(block.conv2(block.activation(block.conv1(x))))
        y = narrow_by(block.skip(x), 2) + y
        x = F.interpolate(y, scale_factor=0.5, mode="trilinear")
    return critic.score(x)


def _up(x: Tensor) -> Tensor:
    return narrow_by(F.interpolate(x, scale_factor=2.0, mode="trilinear"), 1)


def _critic_loss(real: Tensor, fake: Tensor, between: Tensor, scores: Tensor) -> Tensor:
    ones = torch.ones_like(scores)
    (slope,) = torch.autograd.grad(scores, between, ones, create_graph=True, retain_graph=True)
    penalty = (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
    return fake.mean() - real.mean() + LAMBDA * penalty
