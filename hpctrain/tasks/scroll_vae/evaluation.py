"""How well a VAE codes held-out volumes: likelihood, error, what the latent numbers carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpctrain.analysis import volume_figures
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.scroll import ScrollBatch
from hpctrain.models.vae import Coded, Vae3d
from hpctrain.tasks.scroll_vae.bound import bound
from hpctrain.tasks.scroll_vae.draws import VALIDATION_STREAM, normal_rows
from hpctrain.train.alarms import constant_output, posterior_collapse
from hpctrain.train.task import Validation

ACTIVE = 0.01
"""Variance of a latent number's mean over samples from which on it is active (Burda et al. 2016,
arXiv 1509.00519, appendix C)."""
_SHOWN = 4
"""Volumes in the figure of reconstructions."""
_TRAVERSED, _STEPS, _REACH = 6, 7, 2.5
"""Latent numbers that are traversed, in how many steps, and how far from 0."""


class VaeEvaluation:
    """Validation of one run: sums by batch, numbers and figures at the end of a pass.

    The loss is that of one draw of the posterior, the same in each epoch; errors are those of the
    posterior's mean.

    Args:
        settings: the `train:` block.
        span: largest minus smallest grey value of validation volumes, which PSNR is relative to.
    """

    def __init__(self, settings: ScrollVae, span: float) -> None:
        self.settings, self.span = settings, span
        self._curve: dict[str, list[float]] = {}
        self._shown: tuple[Tensor, Tensor, Tensor] | None = None
        self._liveliest: list[int] = []

    def sums(self, batch: ScrollBatch, vae: Vae3d) -> dict[str, Tensor]:
        """Sums over one batch that add up over batches and ranks."""
        return self.sums_of(batch, vae, *self.code(batch, vae))

    def code(self, batch: ScrollBatch, vae: Vae3d) -> tuple[Coded, Tensor]:
        """What the network makes of a batch, and volumes (B, 1, D, H, W) of the posteriors' means.

        The draw of a posterior is the same in each epoch.
        """
        seed, device = self.settings.seed, batch.volume.device
        noise = normal_rows(vae.latent_dim, seed, 0, batch.ids, VALIDATION_STREAM, device)
        coded = vae(batch.volume, noise)
        output = vae.decode(coded.mean).float()
        if self.settings.likelihood == "bernoulli":
            output = torch.sigmoid(output)
        return coded, output

    def sums_of(
        self, batch: ScrollBatch, vae: Vae3d, coded: Coded, output: Tensor
    ) -> dict[str, Tensor]:
        """Sums over one batch, of what `code` has made of it."""
        volume, count = batch.volume, len(batch.ids)
        last = self.settings.divergence.warmup_steps
        parts = bound(self.settings, coded, volume, vae.deviation, last)
        if 0 in batch.ids:
            # air tells nothing: of the first batch those that vary most
            spread = volume.flatten(1).var(1)
            best = spread.argsort(descending=True, stable=True)[:_SHOWN]
            kept = (volume, output, coded.mean)
            self._shown = tuple(x[best].detach().float().cpu() for x in kept)  # type: ignore[assignment]
        made, true, means = output.double(), volume.double(), coded.mean.double()
        return {
            "count": torch.tensor(float(count), dtype=torch.float64),
            **{name: count * value.double() for name, value in parts._asdict().items()},
            "errors": (made - true).square().sum((0, 1)),
            "output": made.sum((0, 1)),
            "output_squares": made.square().sum((0, 1)),
            "data": true.sum((0, 1)),
            "data_squares": true.square().sum((0, 1)),
            "means": means.sum(0),
            "means_squares": means.square().sum(0),
            "deviation": torch.tensor(count * self._deviation(vae), dtype=torch.float64),
        }

    def result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Loss and its parts, PSNR, active units, and alarms on a collapse."""
        n = float(sums["count"])
        mse = float(sums["errors"].mean()) / n
        variances = {
            name: _variance(sums[name], sums[f"{name}_squares"], n)
            for name in ("output", "data", "means")
        }
        data, output = float(variances["data"].mean()), float(variances["output"].mean())
        of_means = variances["means"]
        active = int((of_means > ACTIVE).sum())
        self._liveliest = of_means.argsort(descending=True)[:_TRAVERSED].tolist()
        scalars = {
            **{name: float(sums[name]) / n for name in ("loss", "reconstruction", "divergence")},
            "mse": mse,
            "psnr": 10 * math.log10(self.span**2 / mse) if mse else math.inf,
            "explained": 1 - mse / data if data else math.nan,
            "output_variance": output / data if data else math.nan,
            "active_units": float(active),
        }
        if self.settings.likelihood == "gaussian":
            scalars["deviation"] = float(sums["deviation"]) / n
        self._curve = error_by_distance((sums["errors"] / n).numpy())
        limits = self.settings.alarms
        latent_dim = len(of_means)
        alarms = constant_output(output, data, limits.constant_output)
        alarms += posterior_collapse(active, latent_dim, limits.active_units)
        facts = {"samples": int(n), "latent_dim": latent_dim, "span": self.span}
        summary = {**facts, **_finite(scalars), "error_by_distance": self._curve}
        return Validation(scalars, {"summary.json": summary}, alarms=alarms)

    def figures(self, vae: Vae3d, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Draw functions: volumes and their reconstructions, and what latent numbers mean."""
        if self._shown is None:
            return []
        true, made, means = self._shown
        title = f"validation, epoch {epoch}"
        draws: list[tuple[str, Callable[[], Any]]] = [
            (
                "reconstruction",
                partial(
                    volume_figures.reconstructions, true[:, 0].numpy(), made[:, 0].numpy(), title
                ),
            )
        ]
        if self._liveliest:
            values = np.linspace(-_REACH, _REACH, _STEPS)
            cubes = self._traverse(vae, means[0], values)
            names = [str(i) for i in self._liveliest]
            scale = volume_figures.limits(true.numpy())
            draw = partial(volume_figures.traversals, cubes, names, values, title, scale)
            draws.append(("latent_traversal", draw))
        return draws

    def curves(self, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """The error against the distance from a volume's centre."""
        if not self._curve:
            return []
        title = f"validation, epoch {epoch}"
        return [
            ("error_by_distance", partial(volume_figures.by_distance, self._curve, title=title))
        ]

    def _traverse(self, vae: Vae3d, mean: Tensor, values: np.ndarray[Any, Any]) -> Any:
        """(K, S, D, H, W): a volume whose K liveliest numbers take S values, one at a time."""
        device = next(vae.parameters()).device
        latent = mean.repeat(len(self._liveliest), len(values), 1)
        for row, number in zip(latent, self._liveliest, strict=True):
            row[:, number] = torch.from_numpy(values).float()
        with torch.no_grad():
            # row by row: all of them at once may be several times a training batch
            rows = torch.stack([vae.decode(row.to(device)).float().cpu() for row in latent])
        if self.settings.likelihood == "bernoulli":
            rows = torch.sigmoid(rows)
        return rows[:, :, 0].numpy()

    def _deviation(self, vae: Vae3d) -> float:
        if vae.deviation is not None:
            return float(vae.deviation.detach())
        known = self.settings.deviation
        return math.nan if isinstance(known, str) else float(known)


def error_by_distance(
    errors: np.ndarray[Any, Any], counts: np.ndarray[Any, Any] | None = None
) -> dict[str, list[float]]:
    """Mean squared error of the voxels at each distance from a volume's centre.

    The distance is the largest along any axis, as a share of half the volume's size there, so that
    1 is its surface.

    Args:
        errors: (D, H, W) or (H, W) squared errors by place.
        counts: how often each place was seen, where `errors` are sums; None: all alike.
    """
    axes = [np.abs(2 * (np.arange(n) + 0.5) / n - 1) for n in errors.shape]
    distance = np.maximum.reduce(np.meshgrid(*axes, indexing="ij"))
    levels, where = np.unique(np.round(distance, 6), return_inverse=True)
    total = np.bincount(where.ravel(), errors.ravel())
    count = np.bincount(where.ravel(), None if counts is None else counts.ravel())
    is_seen = count > 0
    found = total[is_seen] / count[is_seen]
    return {"distance": levels[is_seen].tolist(), "mse": found.tolist()}


def _variance(total: Tensor, squares: Tensor, count: float) -> Tensor:
    """Over samples, at each place; rounding leaves nothing below 0."""
    return (squares / count - (total / count).square()).clamp(min=0)


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """The same for JSON, which has no infinity and no NaN: null in their place."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
