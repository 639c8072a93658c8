"""How well made fields have the statistics of true ones: chi-squares, and figures with bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpctrain.analysis import statistics_figures
from hpctrain.analysis.box_spectrum import box_bins, box_spectra
from hpctrain.analysis.sample_statistics import (
    Moments,
    chi_square,
    floor_chi_square,
    histogram_edges,
    histograms,
)
from hpctrain.config.field_gan import Judgement
from hpctrain.data import CropDataset, Scales
from hpctrain.errors import DataError
from hpctrain.tasks.field_gan.draw import VALIDATION_STREAM, Draw
from hpctrain.tasks.field_gan.rescaling import highest_values, physical
from hpctrain.train.task import Validation

_MEASURED = 256
"""Validation samples that the edges of the histogram are measured on."""
_SHOWN = 4
"""Fields of each kind in the figure of samples."""

KINDS = ("truth", "half_0", "half_1", "generator")
"""What statistics are kept of: all true samples, those of either half, and the made ones."""


class Evaluation:
    """Validation of one run: sums by batch, numbers and figures at the end of a pass.

    As many fields are made as there are validation samples, with the style of each, and noise that
    does not change with the epoch.
    """

    def __init__(self, judgement: Judgement, dataset: CropDataset, scales: Scales) -> None:
        self.judgement, self.dataset, self.scales = judgement, dataset, scales
        self.edges: list[list[float]] = []
        self._curves: dict[str, Any] = {}
        self._shown: tuple[Tensor, Tensor] | None = None

    def measure_edges(self) -> list[list[float]]:
        """Edges of the histogram of each channel, from samples spread over the data set.

        Raises:
            DataError: a variable has one value everywhere.
        """
        data = self.dataset
        count = min(len(data), _MEASURED)
        values = np.empty((count, *data.target_shape), np.float32)
        none = np.empty((0, 1, 1, 1), np.float32)
        known, data.scales = data.scales, None
        for row, i in zip(values, np.linspace(0, len(data) - 1, count).astype(int), strict=True):
            data.read_into(int(i), 0, none, row)
        data.scales = known
        edges = []
        for name, channel in zip(data.variables, values.swapaxes(0, 1), strict=True):
            try:
                edges.append(histogram_edges(channel, self.judgement.num_bins))
            except ValueError as e:
                raise DataError(
                    f"data.variables: {name!r} in the {count} validation samples: {e}; leave the "
                    "variable out, or take other or more files for validation "
                    "(data.validation_steps)"
                ) from e
        return edges

    def sums(self, draw: Draw) -> dict[str, Tensor]:
        """Sums over one batch that add up over batches and ranks."""
        batch = draw.batch
        made = self._physical(draw.fields(VALIDATION_STREAM).float())
        true = self._physical(batch.target)
        if 0 in batch.ids:
            self._shown = true[:_SHOWN].cpu(), made[:_SHOWN].cpu()
        halves = [self.dataset.half_of(i) for i in batch.ids]
        of_true, of_made = self._statistics(true), self._statistics(made)
        sums = {"mean": true.double().mean((2, 3, 4)).sum(0)}
        for kind, statistics, counted in (
            ("truth", of_true, [True] * len(halves)),
            ("half_0", of_true, [half == 0 for half in halves]),
            ("half_1", of_true, [half == 1 for half in halves]),
            ("generator", of_made, [True] * len(halves)),
        ):
            weights = torch.tensor(counted, dtype=torch.float64, device=true.device)
            sums[f"count/{kind}"] = weights.sum()
            for name, values in statistics.items():
                sums[f"{name}/{kind}"] = torch.einsum("b,bck->ck", weights, values)
                sums[f"{name}_squares/{kind}"] = torch.einsum("b,bck->ck", weights, values.square())
        return sums

    def result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Chi-squares of both statistics, and those of the truth's halves as their floor."""
        truth = _moments(sums, "histogram", "truth")
        one_cell = 1 / (truth.count * math.prod(self.dataset.target_shape[1:]))
        least = {"histogram": one_cell, "spectrum": 0.0}
        scalars, by_channel = {}, {}
        for name, smallest in least.items():
            true, made, *halves = (
                _moments(sums, name, kind) for kind in ("truth", "generator", "half_0", "half_1")
            )
            distance = self._mean_over_bins(name, made, true, smallest)
            scalars[f"chi2/{name}"] = float(distance.mean())
            by_channel[name] = distance.tolist()
            if all(half.count for half in halves):
                floor = self._mean_over_bins(name, halves[0], true, smallest, halves[1])
                scalars[f"floor/{name}"] = float(floor.mean())
        both = ("histogram", "spectrum")
        for kind in ("chi2", "floor"):
            found = [scalars[f"{kind}/{name}"] for name in both if f"{kind}/{name}" in scalars]
            if found:
                scalars[f"{kind}/both"] = math.prod(found) ** (1 / len(found))
        self._remember(sums)
        summary = {
            "samples": int(truth.count),
            "variables": list(self.dataset.variables),
            **{key: scalars.get(key) for key in sorted(scalars)},
            "chi2_by_variable": {
                name: dict(zip(self.dataset.variables, values, strict=True))
                for name, values in by_channel.items()
            },
        }
        files = {"summary.json": summary, "statistics.json": self._curves}
        return Validation(scalars, _with_nulls(files))

    def figures(self, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Draw functions: fields side by side, histogram and spectrum of each channel."""
        if not self._curves or self._shown is None:
            return []
        draws = []
        true, made = (x.numpy() for x in self._shown)
        for c, name in enumerate(self.dataset.variables):
            plain = name.replace("/", "_")
            curves = self._curves["variables"][name]
            title = f"{name}, validation, epoch {epoch}"
            unit = self.dataset.units[c] if self.dataset.units else ""
            own = true[:, c, true.shape[2] // 2], made[:, c, made.shape[2] // 2]
            draws += [
                (f"{plain}_samples", partial(statistics_figures.samples, *own, title)),
                (f"{plain}_histogram", partial(statistics_figures.histogram, curves, title, unit)),
                (
                    f"{plain}_spectrum",
                    partial(statistics_figures.spectrum, curves, title, self.judgement.length_unit),
                ),
            ]
        return draws

    def _physical(self, fields: Tensor) -> Tensor:
        return physical(self.scales, fields, highest_values(self.scales, self.edges))

    def _statistics(self, fields: Tensor) -> dict[str, Tensor]:
        """Of each sample and channel: shares of cells by bin, powers by wave number; (B, C, K)."""
        bins = max(len(edges) - 1 for edges in self.edges)
        shares = [histograms(fields[:, c], edges) for c, edges in enumerate(self.edges)]
        padded = [torch.nn.functional.pad(s, (0, bins - s.shape[1])) for s in shares]
        spectra = box_spectra(
            fields, self.judgement.cell_size, is_periodic=self.dataset.is_periodic
        )
        return {"histogram": torch.stack(padded, 1), "spectrum": spectra.double()}

    def _mean_over_bins(
        self, name: str, found: Moments, truth: Moments, least: float, other: Moments | None = None
    ) -> Tensor:
        """Distance of each channel; histograms of few edges are padded, which is left out here."""
        values = []
        for c, edges in enumerate(self.edges):
            stop = len(edges) - 1 if name == "histogram" else None
            parts = [
                Moments(m.count, m.total[c, :stop], m.squares[c, :stop])
                for m in (found, truth, *([other] if other else []))
            ]
            if other is None:
                values.append(chi_square(parts[0], parts[1], least))
            else:
                values.append(floor_chi_square(parts[0], parts[2], parts[1], least))
        return torch.stack(values)

    def _remember(self, sums: Mapping[str, Tensor]) -> None:
        """The curves of this validation, as eval/statistics.json has them."""
        mean = (sums["mean"] / sums["count/truth"]).tolist()
        k = box_bins(self.dataset.target_shape[1:], self.judgement.cell_size).k
        dims = sum(n > 1 for n in self.dataset.target_shape[1:])
        variables = {}
        for c, name in enumerate(self.dataset.variables):
            own: dict[str, Any] = {"mean": mean[c], "edges": self.edges[c]}
            for statistic in ("histogram", "spectrum"):
                stop = len(self.edges[c]) - 1 if statistic == "histogram" else None
                for kind in ("truth", "generator"):
                    moments = _moments(sums, statistic, kind)
                    own[f"{statistic}/{kind}"] = {
                        "mean": moments.mean[c, :stop].tolist(),
                        "deviation": moments.variance.sqrt()[c, :stop].tolist(),
                        "error": moments.error[c, :stop].tolist(),
                    }
            own["k"] = k.tolist()
            variables[name] = own
        unit = self.judgement.length_unit
        self._curves = {
            "k_unit": f"radians per {unit}",
            "spectrum_unit": f"field squared ({unit})^{dims}",
            "is_periodic": self.dataset.is_periodic,
            "variables": variables,
        }


def _moments(sums: Mapping[str, Tensor], name: str, kind: str) -> Moments:
    return Moments(
        float(sums[f"count/{kind}"]), sums[f"{name}/{kind}"], sums[f"{name}_squares/{kind}"]
    )


def _with_nulls(content: Any) -> Any:
    """The same for JSON, which has no infinity and no NaN: null in their place."""
    if isinstance(content, dict):
        return {key: _with_nulls(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_nulls(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
