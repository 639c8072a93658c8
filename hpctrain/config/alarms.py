"""The block `train.alarms`: signs that a training has collapsed or stands still."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from hpctrain.config.schema import Schema


class LossAlarms(Schema):
    """Each has a threshold, which its message names beside what was measured; 0 turns it off."""

    spike: NonNegativeFloat = 8.0
    """A loss so many times its usual scatter above its median over the last log points."""
    plateau_points: NonNegativeInt = 100
    """Log points over which the loss has not fallen; those of a warm-up of `divergence` are left
    out, in which it may rise."""
    plateau_fall: PositiveFloat = Field(default=1e-3, lt=1)
    """What counts as falling: by this share of what the loss has fallen since the start."""


class Alarms(LossAlarms):
    """Each has a threshold, which its message names beside what was measured; 0 turns it off."""

    constant_output: NonNegativeFloat = 0.01
    """Variance of the network's output over that of what it is to be: less, and it has learned
    little but the mean of the data."""
    active_units: float = Field(default=0.02, ge=0.0, le=1.0)
    """VAE: share of latent numbers whose mean varies from sample to sample by more than 0.01
    (Burda et al. 2016): less, and the posterior has collapsed."""


class PairAlarms(LossAlarms):
    """Each has a threshold, which its message names beside what was measured; 0 turns it off."""

    plateau_points: NonNegativeInt = 0
    """Log points over which the loss has not fallen; off, as this loss may stand or rise while what
    is learned gets better."""
    embedding_std: NonNegativeFloat = 0.02
    """Standard deviation of embeddings of length 1, times the root of their size: 1 where they fill
    the sphere; less than this, and all pictures look alike."""
    effective_rank: NonNegativeFloat = 2.5
    """Directions that embeddings fill (Roy and Vetterli 2007): fewer, and one number is left, whose
    line has 1 and whose gentle curve about 2. Of very many watched pairs; of n the limit is
    1 + (this - 1)(1 - 2 / n), as few pairs fill few directions."""


class DinoAlarms(PairAlarms):
    """Each has a threshold, which its message names beside what was measured; 0 turns it off."""

    teacher_entropy: float = Field(default=0.02, ge=0.0, lt=0.5)
    """Shares of the largest entropy, ln K: the teacher's of a picture is nearer to it than this, so
    that it tells nothing, or that of its mean is nearer to 0, so that it tells always the same."""
