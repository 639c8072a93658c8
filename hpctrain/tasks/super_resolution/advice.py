"""What to look at when one sample cannot be learned: what was seen, put into sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import nn

from hpctrain.data import FieldBatch, Scales

_LARGE, _SMALL = 30.0, 1 / 30
"""Normalised values beyond these have a scale that networks are not made for."""
_STILL_FALLING = 0.97
"""Of the error three quarters through: below it, more time would help."""


@dataclass
class Observed:
    """What was seen while one sample was being learned."""

    scales: Scales
    batch: FieldBatch
    ratios: list[tuple[int, float]] = field(default_factory=list)
    """Step, and the RMSE as a share of the yardstick's."""
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    is_learned: bool = False
    bad_losses: list[str] = field(default_factory=list)
    """Adversarial losses that are no number."""
    dead: set[str] | None = None
    """Parameters that never had a gradient but zero; None before the first step."""

    def see_gradients(self, network: nn.Module) -> None:
        """Take note of the gradients of one step."""
        if self.dead is None:
            self.dead = {n for n, p in network.named_parameters() if p.requires_grad}
        if self.dead:
            parameters = dict(network.named_parameters())
            for name in list(self.dead):
                gradient = parameters[name].grad
                if gradient is not None and bool(gradient.any()):
                    self.dead.remove(name)


def advice(seen: Observed, learning_rate: float) -> list[str]:
    """Sentences on what to look at; none where all is well."""
    found = [*_of_values(seen), *_of_gradients(seen)]
    if seen.bad_losses:
        found.append(
            f"adversary: {', '.join(seen.bad_losses)} of its first step is no number; lower "
            "train.adversary.optimizer.learning_rate or the penalty's weight"
        )
    if not seen.is_learned:
        found += _of_the_course(seen, learning_rate)
    return found


def _of_values(seen: Observed) -> list[str]:
    found = []
    target = seen.batch.target.double()
    for channel in range(target.shape[1]):
        values = target[:, channel]
        if float(values.max() - values.min()) == 0:
            found.append(
                f"targets: channel {channel} is constant in this sample, so that nothing can be "
                "learned of it; look at the files, or leave the variable out"
            )
    for name, values in (("inputs", seen.batch.input.double()), ("targets", target)):
        size = float(values.square().mean().sqrt())
        if size > _LARGE or 0 < size < _SMALL:
            found.append(
                f"normalisation: {name} have a root mean square of {size:.3g} after it, and "
                "networks are made for about 1; look at data.normalization and the fields' norms"
            )
    return found


def _of_gradients(seen: Observed) -> list[str]:
    if not seen.dead:
        return []
    names = sorted(seen.dead)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [
        f"dead gradients: {', '.join(names[:3])}{more} never had one; look at activations that "
        "are always off, and at layers that the output does not depend on"
    ]


def _of_the_course(seen: Observed, learning_rate: float) -> list[str]:
    """What the curve of the error says of the learning rate."""
    ratios = [ratio for _, ratio in seen.ratios]
    key, last = f"learning rate {learning_rate:g}", ratios[-1]
    if not all(map(math.isfinite, seen.losses)) or not math.isfinite(last):
        if seen.ratios[-1][0] == 0:
            return ["targets: the plain yardstick has no error here, so nothing is left to learn"]
        return [f"{key}: the loss is no number any more; try a tenth of it, or clip_grad_norm: 1"]
    if last > 1.5 * min(ratios) or last >= 0.999 * ratios[0]:
        return [f"{key}: the error does not fall, it jumps or rises; try a tenth of it"]
    before = ratios[3 * (len(ratios) - 1) // 4]
    if last < _STILL_FALLING * before:
        return [
            f"{key}: the error still falls, so the set-up learns slowly; give more --seconds, or "
            "try three times the rate"
        ]
    return [
        f"{key}: the error has stopped falling at {last:.3f}; try another rate, and more channels "
        "if that changes nothing"
    ]
