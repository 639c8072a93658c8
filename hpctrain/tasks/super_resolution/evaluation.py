"""How good the generated fields are: errors and spectra against plain upsampling, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.analysis import figures
from hpctrain.analysis.spectrum import SpectrumSum, log_spectrum_error
from hpctrain.config.task import FieldTraining
from hpctrain.data import FieldBatch, FieldDataset, Scales
from hpctrain.models import upsample_tricubic
from hpctrain.tasks.super_resolution.likeness import correlation, distances, moments
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.tasks.super_resolution.picture import Picture, draw_picture
from hpctrain.train.task import Validation


class Evaluation:
    """Validation of one run: sums by batch, numbers and figures at the end of a pass."""

    def __init__(
        self,
        settings: FieldTraining,
        dataset: FieldDataset,
        scales: Scales,
        halo: tuple[int, int, int],
    ) -> None:
        self.settings, self.dataset, self.scales, self.halo = settings, dataset, scales, halo
        self.factor = settings.upscale_factor
        self.baseline = baseline_of(dataset)
        """Name of what the generator is compared with; None where nothing is comparable."""
        self._kinds = ("truth", "generator", *([self.baseline] if self.baseline else []))
        if self.baseline == "trilinear":
            self._kinds += ("tricubic",)
        self._spectra: dict[str, list[list[float]]] = {}
        self._k: list[float] = []

    def sums(self, batch: FieldBatch, generator: nn.Module) -> dict[str, Tensor]:
        """Sums over one batch that add up over batches and ranks.

        Noise is drawn for epoch 0 whatever the epoch, so that epochs can be compared.
        """
        pair = Pair(batch, generator, self.factor, self.settings.seed)
        fields = {
            "truth": batch.target,
            "generator": pair.generate().float(),
        }
        if self.baseline:
            fields[self.baseline] = self._as_target(pair.condition.float())
        if "tricubic" in self._kinds:
            cubic = upsample_tricubic(batch.input.float(), self.factor, pair.halo)
            fields["tricubic"] = self._as_target(cubic)
        sums = {"samples": torch.tensor(float(len(batch.ids)), dtype=torch.float64)}
        for kind, field in fields.items():
            spectrum = SpectrumSum(field.shape[1], field.shape[2:], device=field.device)
            spectrum.add(field)
            sums[f"spectrum/{kind}"] = spectrum.tensors()[0]
            if kind != "truth":
                # a mean over cells, so that a sample counts once whatever its size
                sums[f"squared_error/{kind}"] = _squares(field, batch.target)
                if self.scales.norms:  # no scale turns these errors into physical ones
                    physical = (self.scales.denormalize(x.double()) for x in (field, batch.target))
                    sums[f"physical_error/{kind}"] = _squares(*physical)
                sums[f"moments/{kind}"] = moments(field, batch.target)
                sums[f"histogram_distance/{kind}"] = distances(field, batch.target)
        return sums

    def result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Numbers of the whole pass; RMSE in each variable's unit, and in units of its scale."""
        samples = float(sums["samples"])
        spectra = {kind: sums[f"spectrum/{kind}"] / samples for kind in self._kinds}
        self._remember(spectra)
        rmse: dict[str, dict[str, float]] = {}
        scalars: dict[str, float] = {}
        normalized: dict[str, float] = {}
        for kind in self._kinds[1:]:
            mean = sums[f"squared_error/{kind}"] / samples
            physical = mean.sqrt() * torch.tensor(self.scales.scale, dtype=torch.float64)
            if self.scales.norms:
                physical = (sums[f"physical_error/{kind}"] / samples).sqrt()
            rmse[kind] = self._named(physical.tolist())
            normalized[kind] = math.sqrt(float(mean.mean()))
            scalars[f"rmse/{kind}"] = normalized[kind]
        spectral = {
            kind: log_spectrum_error(spectra[kind], spectra["truth"]) for kind in self._kinds[1:]
        }
        scalars.update({f"log_spectrum_error/{kind}": v for kind, v in spectral.items()})
        likeness = {
            "correlation": {
                k: correlation(sums[f"moments/{k}"] / samples) for k in self._kinds[1:]
            },
            "histogram_distance": {
                k: sums[f"histogram_distance/{k}"] / samples for k in self._kinds[1:]
            },
        }
        for name, found in likeness.items():
            scalars.update({f"{name}/{kind}": float(v.mean()) for kind, v in found.items()})
        summary = {
            "samples": int(samples),
            "variables": list(self.dataset.variables),
            "rmse": rmse,
            "rmse_normalized": normalized,
            "log_spectrum_error": spectral,
            **{
                name: {kind: self._named(v.tolist()) for kind, v in found.items()}
                for name, found in likeness.items()
            },
        }
        spectrum_file = {"k": self._k, "k_unit": "cycles per sample width", **self._by_variable()}
        return Validation(scalars, {"summary.json": summary, "spectra.json": spectrum_file})

    def figures(
        self, generator: nn.Module, device: torch.device, epoch: int
    ) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Draw functions: slices of the first validation field, one a variable, and the spectra."""
        picture = Picture.take(self.dataset, generator, self.factor, self.halo, device)
        draws = [
            (name.replace("/", "_"), partial(draw_picture, picture, i, epoch))
            for i, name in enumerate(self.dataset.variables)
        ]
        return [*draws, *self.curves(epoch)]

    def curves(self, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Draw function of the spectra of the last pass."""
        if not self._k:
            return ()
        curves = {
            "generated" if kind == "generator" else kind: torch.tensor(self._spectra[kind]).numpy()
            for kind in self._kinds
        }
        k, title = torch.tensor(self._k).numpy(), f"validation, epoch {epoch}"
        return [("spectra", partial(figures.spectra, k, curves, self.dataset.variables, title))]

    def _as_target(self, condition: Tensor) -> Tensor:
        """The input in the target's units, where the two have scales of their own."""
        if self.scales.inputs is None:
            return condition
        return self.scales.normalize(self.scales.inputs.denormalize(condition))

    def _remember(self, spectra: Mapping[str, Tensor]) -> None:
        size = self.dataset.target_shape[1:]
        self._k = SpectrumSum(1, size).k.tolist()
        self._spectra = {kind: value.tolist() for kind, value in spectra.items()}

    def _by_variable(self) -> dict[str, dict[str, Any]]:
        return {kind: self._named(self._spectra[kind]) for kind in self._kinds}

    def _named(self, values: Sequence[Any]) -> dict[str, Any]:
        """Values of the channels by variable."""
        return dict(zip(self.dataset.variables, values, strict=True))


def baseline_of(dataset: FieldDataset) -> str | None:
    """What the input itself makes of the target: trilinear upsampling, or the input as it is.

    None where input and target have unequal channels, so that nothing is comparable.
    """
    if dataset.num_input_channels != len(dataset.variables):
        return None
    return "trilinear" if dataset.factor > 1 else "input"


def _squares(field: Tensor, target: Tensor) -> Tensor:
    """Mean square error of each channel, summed over samples, in float64."""
    return (field - target).double().square().mean((2, 3, 4)).sum(0)
