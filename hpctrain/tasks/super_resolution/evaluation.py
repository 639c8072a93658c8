"""How good the generated fields are: errors and spectra against plain upsampling, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.analysis import figures
from hpctrain.analysis.shells import km_per
from hpctrain.analysis.spectrum import SpectrumSum, log_spectrum_errors
from hpctrain.config.task import FieldTraining
from hpctrain.data import FieldBatch, FieldDataset, Scales
from hpctrain.models import upsample_tricubic
from hpctrain.tasks.super_resolution.by_shell import (
    ShellSums,
    draw_shells,
    generators_own,
    shell_errors,
)
from hpctrain.tasks.super_resolution.likeness import (
    correlation,
    distances,
    has_structure,
    moments,
)
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
        self._shells: dict[str, Any] = {}

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
        first = [self.dataset.first_shell(i) for i in batch.ids]
        size, device = batch.target.shape[2], batch.target.device
        shells = ShellSums(first, size, self.dataset.num_shells, device)
        truth = self._physical(batch.target)
        for kind, field in fields.items():
            spectrum = SpectrumSum(field.shape[1], field.shape[2:], device=device)
            spectrum.add(field)
            sums[f"spectrum/{kind}"] = spectrum.tensors()[0]
            shells.add_spectrum(kind, field)
            if kind != "truth":
                # a mean over cells, so that a sample counts once whatever its size
                sums[f"squared_error/{kind}"] = _squares(field, batch.target)
                physical = self._physical(field)
                if self.scales.norms:  # no scale turns these errors into physical ones
                    sums[f"physical_error/{kind}"] = _squares(physical, truth)
                sums[f"moments/{kind}"] = moments(field, batch.target)
                sums[f"histogram_distance/{kind}"] = distances(field, batch.target)
                shells.add_errors(kind, physical, truth)
        return {**sums, **shells.sums}

    def result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Numbers of the whole pass; RMSE in each variable's unit, and in units of its scale."""
        samples = float(sums["samples"])
        spectra = {kind: sums[f"spectrum/{kind}"] / samples for kind in self._kinds}
        kinds = self._kinds[1:]
        by_kind: dict[str, dict[str, Tensor]] = {
            "rmse": {k: self._rmse(sums, k) for k in kinds},
            "correlation": {k: correlation(sums[f"moments/{k}"] / samples) for k in kinds},
            "histogram_distance": {k: sums[f"histogram_distance/{k}"] / samples for k in kinds},
            "log_spectrum_error": {
                k: self._spectrum_errors(spectra, sums[f"moments/{k}"] / samples, k) for k in kinds
            },
        }
        normalized = {
            k: math.sqrt(float((sums[f"squared_error/{k}"] / samples).mean())) for k in kinds
        }
        spectral = {k: _root_mean_square(by_kind["log_spectrum_error"][k]) for k in kinds}
        named = {
            name: {kind: self._named(v.tolist()) for kind, v in found.items()}
            for name, found in by_kind.items()
        }
        scalars = {
            **{f"rmse/{k}": v for k, v in normalized.items()},
            **{f"log_spectrum_error/{k}": v for k, v in spectral.items()},
        }
        for name in ("correlation", "histogram_distance"):
            scalars |= {f"{name}/{k}": float(v.nanmean()) for k, v in by_kind[name].items()}
        self._shells = self._by_shell(sums)
        self._remember(spectra)
        summary = {
            "samples": int(samples),
            "variables": list(self.dataset.variables),
            "rmse_normalized": normalized,
            **named,
            "log_spectrum_error": spectral,
            "log_spectrum_error_by_variable": named["log_spectrum_error"],
        }
        files = {
            "summary.json": summary,
            "spectra.json": {"k": self._k, "k_unit": "cycles per sample width"}
            | self._by_variable(),
            "shells.json": self._shells,
        }
        return Validation(scalars, files, _details(named), generators_own(self._shells))

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
        """Draw functions of the spectra and of the errors by shell of the last pass."""
        if not self._k:
            return ()
        shells = partial(draw_shells, self._shells, epoch)
        curves = {
            "generated" if kind == "generator" else kind: torch.tensor(self._spectra[kind]).numpy()
            for kind in self._kinds
        }
        k, title = torch.tensor(self._k).numpy(), f"validation, epoch {epoch}"
        spectra = partial(figures.spectra, k, curves, self.dataset.variables, title)
        return [("spectra", spectra), ("errors_by_shell", shells)]

    def _physical(self, field: Tensor) -> Tensor:
        """Normalised fields in the variables' own units, but for a constant where that is free."""
        if self.scales.norms:
            return self.scales.denormalize(field.double())
        scale = torch.tensor(self.scales.scale, dtype=field.dtype, device=field.device)
        return field * scale[:, None, None, None]

    def _rmse(self, sums: Mapping[str, Tensor], kind: str) -> Tensor:
        samples = float(sums["samples"])
        if self.scales.norms:
            return (sums[f"physical_error/{kind}"] / samples).sqrt()
        scale = torch.tensor(self.scales.scale, dtype=torch.float64)
        return (sums[f"squared_error/{kind}"] / samples).sqrt() * scale

    @staticmethod
    def _spectrum_errors(spectra: Mapping[str, Tensor], moments: Tensor, kind: str) -> Tensor:
        """Of each variable; NaN where the truth is constant, whose rounding is no yardstick."""
        errors = log_spectrum_errors(spectra[kind], spectra["truth"])
        return torch.where(has_structure(moments), errors, torch.nan)

    def _by_shell(self, sums: Mapping[str, Tensor]) -> dict[str, Any]:
        """What stands in eval/shells.json."""
        radii, known = None, self.dataset.radii
        if known is not None:
            radii = (known[0] * (km_per(known[1]) or 1.0)).tolist()
        variables = self.dataset.variables
        return {
            "variables": list(variables),
            "units": list(self.dataset.units),
            "radii": radii,
            **shell_errors(sums, self._kinds[1:], variables),
        }

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


def _root_mean_square(values: Tensor) -> float:
    """Of those that exist; NaN where none does."""
    return math.sqrt(float(values[~values.isnan()].square().mean()))


def _details(named: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Points of single variables."""
    return {
        f"by_variable/{variable}/{metric}/{kind}": value
        for metric, kinds in named.items()
        for kind, values in kinds.items()
        for variable, value in values.items()
    }
