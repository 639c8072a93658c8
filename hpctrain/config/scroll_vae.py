"""The task `scroll_vae`: a variational auto-encoder of cubes out of scrolls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from hpctrain.config.alarms import Alarms
from hpctrain.config.optimizer import Optimizer
from hpctrain.config.schema import Schema
from hpctrain.config.training import Checkpoints, Training


def _deviation(value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    if value != "learned" and not is_number:
        raise ValueError(f"found {value!r}; allowed: learned, or a number above 0")
    return value


Deviation = Annotated[float | Literal["learned"], BeforeValidator(_deviation)]


class VaeNetwork(Schema):
    """Encoder and decoder; each layer halves the volume and doubles the width."""

    block: Literal["plain", "batch_norm", "residual"] = "batch_norm"
    """plain: convolution and pool; batch_norm: strided convolution, then one with BatchNorm;
    residual: the same beside a strided shortcut."""
    channels: PositiveInt = 32
    """Width of the first layer."""
    layers: PositiveInt = 3
    """How often the volume is halved; windows are multiples of 2 to the power of it."""
    latent_dim: PositiveInt = 512
    """Numbers that a volume is coded in."""
    latent: Literal["vector", "grid"] = "vector"
    """vector: each number sees and changes the whole volume, as in the notebook; grid: each belongs
    to a cell behind the last layer, which is learned much faster."""
    linear_windows: NonNegativeInt = 0
    """Training windows whose principal components are a linear path through the network, to which
    layers only add; it decodes better from the first step on. 0: no such path."""

    @model_validator(mode="after")
    def _has_enough(self) -> VaeNetwork:
        if not self.linear_windows:
            return self
        if self.latent == "grid":
            raise ValueError(
                "linear_windows does not go with latent: grid, as each principal component sees "
                "the whole volume; choose latent: vector, or leave it out"
            )
        if self.linear_windows < self.latent_dim:
            raise ValueError(
                f"linear_windows: found {self.linear_windows}, fewer than latent_dim, which is "
                f"{self.latent_dim}; give some times as many, or 0 for no linear path"
            )
        return self


class Divergence(Schema):
    """The KL divergence of the posterior from a standard normal, beside the reconstruction."""

    weight: NonNegativeFloat = 1.0
    """Its weight after the warm-up; 1: the evidence lower bound; more or less: a beta-VAE."""
    warmup_steps: NonNegativeInt = 0
    """Steps of linear rise of the weight from 0, against posterior collapse."""
    free_bits: NonNegativeFloat = 0.0
    """Nats of each latent number that cost nothing, against posterior collapse."""


class VaeOptimizer(Optimizer):
    """The notebook's."""

    learning_rate: float = 3.0e-4
    """Rate after warm-up."""


class VaeCheckpoints(Checkpoints):
    """When the state is saved, and which is the best."""

    best: str | None = "validation/loss"
    """Number of the validation by which best.pt is kept beside them, out of the epochs that are
    saved: loss, mse (smaller is better) or psnr (larger); null: none."""


class ScrollTraining(Training):
    """What trainings on scrolls share."""

    reads: ClassVar[str] = "scroll"

    alarms: Alarms = Alarms()
    """What is watched for, and told of in the log, in TensorBoard and by `hpctrain status`."""

    @property
    def upscale_factor(self) -> int:
        """Windows are learned from at the resolution of the files."""
        return 1

    @property
    def rising(self) -> frozenset[str]:
        """Numbers of the validation that are better the larger they are."""
        names = ("psnr", "f05", "auc", "dice", "average_precision")
        return frozenset(f"validation/{name}" for name in names)

    @property
    def same_loss_from(self) -> int:
        """First step from which on the loss has the same weights."""
        return 0

    def _check_batch_norm(self, block: str) -> None:
        if block == "plain":
            return
        if self.last_batch == "keep":
            raise ValueError(
                "last_batch: keep does not go with BatchNorm, for which a short batch may be a "
                "single sample; choose drop"
            )
        if self.activation_checkpointing:
            raise ValueError(
                "activation_checkpointing does not go with BatchNorm, whose means move on with "
                "each forward pass; set it to false, or accumulate over smaller micro-batches"
            )


class ScrollVae(ScrollTraining):
    """Variational auto-encoder of cubes (Kingma and Welling 2014)."""

    task: Literal["scroll_vae"]
    network: VaeNetwork = VaeNetwork()
    """Encoder and decoder."""
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    """Of a voxel; bernoulli needs grey values from 0 to 1: normalization percentiles or limits."""
    deviation: Deviation = "learned"
    """Standard deviation of the Gaussian likelihood in normalised units; the smaller, the more
    reconstruction counts beside the divergence. learned: one number for all voxels."""
    divergence: Divergence = Divergence()
    """The other part of the loss."""
    optimizer: VaeOptimizer = VaeOptimizer()
    """Of encoder and decoder."""
    checkpoints: VaeCheckpoints = VaeCheckpoints()
    """When the state is saved."""

    @property
    def same_loss_from(self) -> int:
        """First step from which on the loss has the same weights."""
        return self.divergence.warmup_steps

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        return VALIDATION

    @model_validator(mode="after")
    def _consistent(self) -> ScrollVae:
        self._check_metrics(LOSSES, VALIDATION)
        self._check_averaged("vae")
        self._check_batch_norm(self.network.block)
        if self.likelihood == "bernoulli" and self.deviation != "learned":
            raise ValueError("deviation has no effect with likelihood: bernoulli; leave it out")
        if self.likelihood == "bernoulli" and self.network.linear_windows:
            raise ValueError(
                "network.linear_windows does not go with likelihood: bernoulli, as principal "
                "components are of grey values and not of logits; choose gaussian, or leave it out"
            )
        return self

    def misfit(self, data: Any) -> tuple[str, str] | None:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        if self.likelihood == "bernoulli" and data.normalization not in _UNIT:
            return "normalization", (
                f"found {data.normalization}; train.likelihood: bernoulli wants values from 0 to "
                f"1: give {' or '.join(_UNIT)}"
            )
        moved = [name for name in _MOVING if getattr(data.augment, name)]
        if self.likelihood == "bernoulli" and moved:
            names = ", ".join(moved)
            return "augment", (
                f"found {names}, and train.likelihood: bernoulli wants values from 0 to 1, beyond "
                f"which this leads; drop {names}, or choose likelihood: gaussian"
            )
        found = size_misfit(data.window, (0, 1, 2), self.network.layers)
        voxels = math.prod(data.window)
        if self.network.linear_windows and self.network.latent_dim > voxels:
            return "window", (
                f"found {list(data.window)}, which has {voxels} voxels and so many principal "
                "components; give no more as train.network.latent_dim"
            )
        cells = math.prod(n // 2**self.network.layers for n in data.window)
        if found is None and self.network.latent == "grid" and self.network.latent_dim % cells:
            return "window", (
                f"found {list(data.window)}, so that latent: grid has {cells} cells, which cannot "
                f"share {self.network.latent_dim} numbers; give a multiple as "
                "train.network.latent_dim"
            )
        return found


def size_misfit(
    window: Sequence[int], axes: Sequence[int], layers: int, key: str = "layers"
) -> tuple[str, str] | None:
    """Key and text where a window cannot be halved so often along some axes; None: it can."""
    factor = 2**layers
    if all(window[axis] % factor == 0 for axis in axes):
        return None
    names = ", ".join("zyx"[axis] for axis in axes)
    return "window", (
        f"found {list(window)}; the network halves it {layers} times: give multiples of {factor} "
        f"along {names}, or fewer train.network.{key}"
    )


_UNIT = ("percentiles", "limits")
_MOVING = ("multiplicative_std", "additive_std", "noise_std")
"""Augmentations after which grey values may lie below 0 or above 1."""
LOSSES = ("train/loss/vae", "train/loss/reconstruction", "train/loss/divergence")
VALIDATION = ("validation/loss", "validation/mse", "validation/psnr")
