"""Signs that a training has collapsed or stands still, each with the number that shows it.

Tasks find those that a validation shows; the loss itself is watched here, at each log line.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from hpctrain.config.alarms import LossAlarms

LOSS_KINDS = ("spike", "plateau")
"""Kinds of alarm that the loss raises."""
_FEWEST = 10
"""Log points before a spike can be told from the beginning of a training."""
_FIRST = 3
"""Log points whose mean is what the loss began with."""
_MAD_TO_DEVIATION = 1.4826
"""Of normal numbers the median distance from the median is a deviation over this."""
_SMALLEST_SCATTER = 0.005
"""A loss that hardly scatters is allowed so much of its own size all the same."""


@dataclass(frozen=True)
class Alarm:
    """One sign, as it is told."""

    kind: str
    text: str
    """One sentence with what was measured and what is allowed."""
    value: float
    """What was measured."""


class LossWatch:
    """Looks at one loss for spikes and for a plateau.

    Args:
        settings: thresholds.
        name: of the loss, for messages.
        plateau_from: first step from which on the loss is one and the same sum, so that it must
            fall; before, the weight of a part may still be rising.
    """

    def __init__(self, settings: LossAlarms, name: str, plateau_from: int = 0) -> None:
        self.settings, self.name, self.plateau_from = settings, name, plateau_from
        self._began: list[float] = []
        self._recent: deque[float] = deque(maxlen=max(settings.plateau_points, 2 * _FEWEST))
        self._steps: deque[int] = deque(maxlen=self._recent.maxlen)

    def observe(self, step: int, loss: float) -> list[Alarm]:
        """Take in the mean of a log line; returns what is wrong now.

        Args:
            step: of the whole run.
            loss: mean since the last call.
        """
        if not math.isfinite(loss):
            return []  # the guard against such losses speaks of it
        if len(self._began) < _FIRST:
            self._began.append(loss)
        found = [*self._spike(step, loss)]
        self._recent.append(loss)
        self._steps.append(step)
        return found + [*self._plateau()]

    def _spike(self, step: int, loss: float) -> list[Alarm]:
        limit = self.settings.spike
        if not limit or len(self._recent) < _FEWEST:
            return []
        middle = median(self._recent)
        scatter = _MAD_TO_DEVIATION * median(abs(x - middle) for x in self._recent)
        scatter = max(scatter, _SMALLEST_SCATTER * abs(middle))
        above = (loss - middle) / scatter if scatter else 0.0
        if above <= limit:
            return []
        text = (
            f"spike: {self.name} {loss:.4g} at step {step}, {above:.0f} times its scatter of "
            f"{scatter:.2g} above its median {middle:.4g} (alarm above {limit:g}); a lower "
            "learning rate, clip_grad_norm or a look at that batch may help"
        )
        return [Alarm("spike", text, above)]

    def _plateau(self) -> list[Alarm]:
        points = self.settings.plateau_points
        if not points or len(self._recent) < max(points, _FEWEST):
            return []
        values, steps = list(self._recent)[-points:], list(self._steps)[-points:]
        if steps[0] < self.plateau_from:
            return []
        half = points // 2
        before, now = fmean(values[:half]), fmean(values[half:])
        whole = max(abs(fmean(self._began) - now), 1e-12)
        fall = (before - now) / whole
        if fall > self.settings.plateau_fall:
            return []
        text = (
            f"plateau: {self.name} has not fallen for {steps[-1] - steps[0]} steps ({before:.4g}, "
            f"then {now:.4g}: {fall:.2%} of its fall since the start, alarm up to "
            f"{self.settings.plateau_fall:.2%}); another rate or schedule may help, or it has "
            "learned what it can"
        )
        return [Alarm("plateau", text, fall)]


def constant_output(variance: float, target: float, limit: float) -> list[Alarm]:
    """Whether outputs vary as what they are to be.

    Args:
        variance: of the network's output over validation samples.
        target: of the data or the labels.
        limit: smallest ratio that is no alarm; 0: none is raised.
    """
    if not limit or not target > 0 or variance / target >= limit:
        return []
    ratio = variance / target
    text = (
        f"constant output: its variance is {ratio:.2g} of that of the data (alarm below "
        f"{limit:g}); the network tells little but the mean of the data set"
    )
    return [Alarm("constant_output", text, ratio)]


def posterior_collapse(active: int, latent_dim: int, limit: float) -> list[Alarm]:
    """Whether enough latent numbers carry something.

    Args:
        active: numbers that vary from sample to sample (Burda et al. 2016, appendix C).
        latent_dim: all of them.
        limit: smallest share that is no alarm; 0: none is raised.
    """
    share = active / latent_dim
    if not limit or share >= limit:
        return []
    text = (
        f"posterior collapse: {active} of {latent_dim} latent numbers are active, "
        f"{share:.1%} (alarm below {limit:.1%}); a warm-up of train.divergence, free_bits or a "
        "smaller weight lets more be learned"
    )
    return [Alarm("posterior_collapse", text, share)]


def like_embeddings(modality: str, std: float, limit: float) -> list[Alarm]:
    """Whether pictures have embeddings of their own.

    Args:
        modality: whose.
        std: of embeddings of length 1, times the root of their size.
        limit: smallest value that is no alarm; 0: none is raised.
    """
    if not limit or std >= limit:
        return []
    text = (
        f"like embeddings of {modality}: they deviate by {std:.2g} from each other, where 1 would "
        f"fill the sphere (alarm below {limit:g}); the encoder tells pictures hardly apart: a "
        "lower rate, a longer warm-up or a larger batch may help"
    )
    return [Alarm(f"like_embeddings_{modality}", text, std)]


def few_directions(modality: str, rank: float, limit: float, rows: int) -> list[Alarm]:
    """Whether embeddings fill more than a line.

    A few rows span few directions whatever was learned, so that the limit is lower for them: at
    1 + (limit - 1)(1 - 2 / rows) curves of one number still lie below it for any number of rows,
    and surfaces of two numbers above (tests draw both).

    Args:
        modality: whose.
        rank: effective rank (Roy and Vetterli 2007).
        limit: smallest value of very many rows that is no alarm; 0: none is raised.
        rows: embeddings that it was measured of.
    """
    own = 1 + (limit - 1) * (1 - 2 / rows) if limit > 1 else limit
    if not limit or rank >= own:
        return []
    text = (
        f"few directions of {modality}: {rows} embeddings have the effective rank {rank:.2f} "
        f"(alarm below {own:.2f}); they tell about one number of a picture: a lower rate, a larger "
        "batch or more varied crops may help"
    )
    return [Alarm(f"few_directions_{modality}", text, rank)]


def teacher_entropy(own: float, of_mean: float, prototypes: int, limit: float) -> list[Alarm]:
    """Whether a teacher of self-distillation tells something, and not always the same.

    Args:
        own: entropy of its answers, the mean over pictures, in nats.
        of_mean: entropy of its mean answer.
        prototypes: among which it chooses.
        limit: share of the largest entropy; 0: none is raised.
    """
    whole = math.log(prototypes) if prototypes > 1 else 1.0
    if limit and own > (1 - limit) * whole:
        text = (
            f"uniform teacher: its answers have {own / whole:.1%} of the largest entropy (alarm "
            f"above {1 - limit:.1%}); it tells nothing: lower train.teacher_temperature"
        )
        return [Alarm("uniform_teacher", text, own / whole)]
    if limit and of_mean < limit * whole:
        text = (
            f"constant teacher: its mean answer has {of_mean / whole:.1%} of the largest entropy "
            f"(alarm below {limit:.1%}); it tells of all pictures the same: a higher "
            "train.teacher_temperature, or centring: {kind: sinkhorn_knopp} may help"
        )
        return [Alarm("constant_teacher", text, of_mean / whole)]
    return []


def kinds(alarms: Sequence[Alarm]) -> set[str]:
    """What is wrong, by name."""
    return {alarm.kind for alarm in alarms}
