"""The alternating step of a GAN without input."""

from __future__ import annotations

from torch import Tensor

from hpctrain.config.field_gan import FieldAdversary
from hpctrain.tasks.field_gan.draw import FLIP_STREAM, Draw
from hpctrain.tasks.super_resolution.adversarial import AdversarialStep
from hpctrain.tasks.super_resolution.pair import Pair


class FieldGanStep(AdversarialStep):
    """Critic and generator steps of `AdversarialStep`, on fields alone and with flipped labels.

    The fields are made once a step: the generator does not change while the critic learns, and the
    graph of its pass serves its own step.
    """

    adversary: FieldAdversary

    def _scores(
        self, pair: Pair, target: Tensor, generated: Tensor, critic_step: int
    ) -> tuple[Tensor, Tensor]:
        """Logits, negated where the label is flipped: bce, hinge and Wasserstein are alike in both.

        ln(1 + exp(-x)) is the loss of a true sample with logit x, and ln(1 + exp(x)) that of a
        made one; so a flipped label is a changed sign.
        """
        real, fake = super()._scores(pair, target, generated, critic_step)
        share = self.adversary.label_flip
        if not share:
            return real, fake
        assert isinstance(pair, Draw)
        stream = FLIP_STREAM + 2 * critic_step
        return real * pair.signs(stream, share), fake * pair.signs(stream + 1, share)

    def _seen(self, pair: Pair, field: Tensor) -> tuple[Tensor, ...]:
        style = pair.batch.style
        return (field,) if style is None else (field, style)
