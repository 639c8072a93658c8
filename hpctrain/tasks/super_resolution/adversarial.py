"""The alternating step of the conditional GAN: critic steps, then one generator step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from hpctrain.config.field_gan import FieldAdversary
from hpctrain.config.task import Adversary
from hpctrain.losses import adversarial_loss, r1, wgan_gp, wide
from hpctrain.losses.spectral import paired_spectral_loss
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.update import Update

REAL_STREAM, FAKE_STREAM, GENERATOR_STREAM = 100_000, 200_000, 300_000
"""Streams of instance noise; each critic step has its own behind the first two."""


def crop_spectra(adversary: Adversary) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The spectral loss of crops, if the adversary wants it.

    A crop is not periodic, and below a millionth of the peak its spectrum is mostly leakage.
    """
    found = partial(paired_spectral_loss, is_periodic=False, smallest=1e-6)
    return found if adversary.spectral_weight else None


class AdversarialStep:
    """Critic and generator steps on one batch.

    The generator does not change during the critic steps, so its output is made once and its graph
    kept for its own step; with gradient accumulation it is made anew, to hold one graph at a time.
    """

    def __init__(
        self,
        adversary: Adversary | FieldAdversary,
        critic: nn.Module,
        content_loss: Callable[[Tensor, Tensor], Tensor],
        spectral_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.adversary, self.critic, self.content_loss = adversary, critic, content_loss
        self.spectral_loss = spectral_loss
        self.loss = adversarial_loss(adversary.loss, adversary.label_smoothing)
        self._epoch = 0

    def __call__(
        self, pairs: Sequence[Pair], update: Update, global_step: int, epoch: int = 0
    ) -> dict[str, Tensor]:
        """Run all critic steps and the generator step; returns their mean losses.

        Args:
            pairs: the micro-batches.
            update: steps the optimizers.
            global_step: steps done in the run.
            epoch: adversarial epochs done.
        """
        self._epoch = epoch
        kept: dict[int, Tensor] = {}
        if len(pairs) == 1:
            with update.autocast():
                kept[id(pairs[0])] = pairs[0].generate()

        def fake(pair: Pair) -> Tensor:
            return kept[id(pair)] if id(pair) in kept else pair.generate()

        critic: dict[str, list[Tensor]] = {}
        steps = self.adversary.critic_steps
        for k in range(steps):
            loss = partial(self._critic_loss, fake=fake, k=k, steps_done=global_step * steps + k)
            losses = update("discriminator", loss, pairs)
            for key, value in losses.items():
                critic.setdefault(key, []).append(value)
        generator = update("generator", lambda pair: self._generator_loss(pair, fake), pairs)
        means = {key: torch.stack(values).mean() for key, values in critic.items()}
        return {
            "generator": generator.pop("loss"),
            "discriminator": means.pop("loss"),
            **generator,
            **means,
        }

    def _critic_loss(
        self, pair: Pair, fake: Callable[[Pair], Tensor], k: int, steps_done: int
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            generated = wide(fake(pair).detach())
        target = self._noisy(pair, pair.target, REAL_STREAM + k)
        generated = self._noisy(pair, generated, FAKE_STREAM + k)
        real_scores, fake_scores = self._scores(pair, target, generated, k)
        loss = self.loss.critic_loss(real_scores, fake_scores)
        losses = {"loss": loss}
        penalty = self.adversary.gradient_penalty
        if penalty and steps_done % penalty.every == 0:
            value = self._penalty(pair, target, generated, k)
            losses["loss"] = loss + penalty.weight * penalty.every * value
            losses["gradient_penalty"] = value
        return losses

    def _penalty(self, pair: Pair, target: Tensor, generated: Tensor, critic_step: int) -> Tensor:
        critic = partial(self._score, pair)
        assert self.adversary.gradient_penalty is not None
        if self.adversary.gradient_penalty.kind == "r1":
            return r1(critic, target)
        return wgan_gp(critic, target, generated, pair.mix(critic_step))

    def _scores(
        self, pair: Pair, target: Tensor, generated: Tensor, critic_step: int
    ) -> tuple[Tensor, Tensor]:
        """Scores of true and made fields, as the critic's loss takes them."""
        if self.adversary.critic_batches == "separate":
            # Where a bias moves all scores alike, the gradients of real and fake cancel exactly; in
            # one pass they leave rounding noise, which Adam makes into full steps.
            return self._score(pair, target), self._score(pair, generated)
        each = zip(self._seen(pair, target), self._seen(pair, generated), strict=True)
        real, fake = self.critic(*(torch.cat(both) for both in each)).chunk(2)
        return real, fake

    def _score(self, pair: Pair, field: Tensor) -> Tensor:
        """Scores of a field."""
        scores: Tensor = self.critic(*self._seen(pair, field))
        return scores

    def _seen(self, pair: Pair, field: Tensor) -> tuple[Tensor, ...]:
        """What the critic is given: a field, with the upsampled input beside it if conditional."""
        return (torch.cat((field, pair.condition), 1) if self.adversary.conditional else field,)

    def _noisy(self, pair: Pair, field: Tensor, stream: int) -> Tensor:
        """The field with the instance noise of this epoch."""
        noise = self.adversary.instance_noise
        std = noise.std * max(0.0, 1 - self._epoch / noise.epochs) if noise else 0.0
        return field + std * pair.normal(stream) if std else field

    def _weight(self) -> float:
        """Weight of the adversarial loss in this epoch."""
        ramp = min(1.0, (self._epoch + 1) / (self.adversary.ramp_epochs + 1))
        return self.adversary.adversarial_weight * ramp

    def _generator_loss(self, pair: Pair, fake: Callable[[Pair], Tensor]) -> dict[str, Tensor]:
        generated = wide(fake(pair))
        scores = self._score(pair, self._noisy(pair, generated, GENERATOR_STREAM))
        adversarial = self.loss.generator_loss(scores)
        content = self.content_loss(generated, pair.target)
        loss = self._weight() * adversarial
        if self.adversary.content_weight:
            loss = loss + self.adversary.content_weight * content
        found = {"loss": loss, "adversarial": adversarial, "content": content.detach()}
        if self.spectral_loss:
            spectral = self.spectral_loss(generated, pair.target)
            found["loss"] = loss + self.adversary.spectral_weight * spectral
            found["spectral"] = spectral.detach()
        return found
