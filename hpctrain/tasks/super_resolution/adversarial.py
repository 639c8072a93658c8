"""The alternating step of the conditional GAN: critic steps, then one generator step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from hpctrain.config.task import Adversary
from hpctrain.losses import adversarial_loss, r1, wgan_gp
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.update import Update


class AdversarialStep:
    """Critic and generator steps on one batch.

    The generator does not change during the critic steps, so its output is made once and its graph
    kept for its own step; with gradient accumulation it is made anew, to hold one graph at a time.
    """

    def __init__(
        self,
        adversary: Adversary,
        critic: nn.Module,
        content_loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.adversary, self.critic, self.content_loss = adversary, critic, content_loss
        self.loss = adversarial_loss(adversary.loss)

    def __call__(
        self, pairs: Sequence[Pair], update: Update, global_step: int
    ) -> dict[str, Tensor]:
        """Run all critic steps and the generator step; returns their mean losses."""
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
            generated = fake(pair).detach().float()
        # Two passes: where a bias moves all scores alike, the gradients of real and fake then
        # cancel exactly; in one pass they leave rounding noise, which Adam makes into full steps.
        real_scores = self.critic(torch.cat((pair.target, pair.condition), 1))
        fake_scores = self.critic(torch.cat((generated, pair.condition), 1))
        loss = self.loss.critic_loss(real_scores, fake_scores)
        losses = {"loss": loss}
        penalty = self.adversary.gradient_penalty
        if penalty and steps_done % penalty.every == 0:
            value = self._penalty(pair, generated, k)
            losses["loss"] = loss + penalty.weight * penalty.every * value
            losses["gradient_penalty"] = value
        return losses

    def _penalty(self, pair: Pair, generated: Tensor, critic_step: int) -> Tensor:
        def critic(field: Tensor) -> Tensor:
            scores: Tensor = self.critic(torch.cat((field, pair.condition), 1))
            return scores

        assert self.adversary.gradient_penalty is not None
        if self.adversary.gradient_penalty.kind == "r1":
            return r1(critic, pair.target)
        return wgan_gp(critic, pair.target, generated, pair.mix(critic_step))

    def _generator_loss(self, pair: Pair, fake: Callable[[Pair], Tensor]) -> dict[str, Tensor]:
        generated = fake(pair).float()
        scores = self.critic(torch.cat((generated, pair.condition), 1))
        adversarial = self.loss.generator_loss(scores)
        content = self.content_loss(generated, pair.target)
        loss = self.adversary.adversarial_weight * adversarial
        if self.adversary.content_weight:
            loss = loss + self.adversary.content_weight * content
        return {"loss": loss, "adversarial": adversarial, "content": content.detach()}
