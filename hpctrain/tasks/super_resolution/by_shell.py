"""Errors and spectra of validation samples shell by shell, or layer by layer of a box.

Samples are cut anywhere, so that each sum goes to the shell of the whole field that it is of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hpctrain.analysis import figures
from hpctrain.analysis.spectrum import layer_spectra, log_spectrum_errors
from hpctrain.tasks.super_resolution.likeness import correlation, has_structure

Lists = dict[str, dict[str, list[float]]]


class ShellSums:
    """Sums of one batch that add up over batches and ranks; keys begin with `shells/`."""

    def __init__(self, first: Sequence[int], size: int, depth: int, device: torch.device) -> None:
        """Say where the samples lie.

        Args:
            first: shell of the whole field that each sample begins with.
            size: shells of a sample.
            depth: shells of the whole field.
            device: where the fields are.
        """
        self._depth = depth
        self._shells = (torch.arange(size) + torch.tensor(first)[:, None]).flatten().to(device)
        ones = torch.ones(len(self._shells), 1, dtype=torch.float64, device=device)
        self.sums = {"shells/count": self._sum(ones)}

    def add_spectrum(self, kind: str, field: Tensor) -> None:
        """Add the spectra of fields (B, C, D, H, W), normalised; the truth's too."""
        if max(field.shape[3:]) > 1:
            powers = layer_spectra(field)  # (B, D, C, K)
            self.sums[f"shells/spectrum/{kind}"] = self._sum(powers.flatten(0, 1))

    def add_errors(self, kind: str, field: Tensor, truth: Tensor) -> None:
        """Add fields and their truths, (B, C, D, H, W), in the unit that RMSE is wanted in."""
        a, b = field.double(), truth.double()
        means = torch.stack(
            [
                *(a.mean((3, 4)), b.mean((3, 4)), (a * a).mean((3, 4)), (b * b).mean((3, 4))),
                *((a * b).mean((3, 4)), (a - b).square().mean((3, 4))),
            ],
            dim=-1,
        )  # (B, C, D, 6)
        self.sums[f"shells/moments/{kind}"] = self._sum(means.transpose(1, 2).flatten(0, 1))

    def _sum(self, rows: Tensor) -> Tensor:
        """Rows of shells of samples, (B D, ...), to shells of the field, (depth, ...)."""
        total = rows.new_zeros(self._depth, *rows.shape[1:])
        return total.index_add_(0, self._shells, rows)


def shell_errors(
    sums: Mapping[str, Tensor], kinds: Sequence[str], variables: Sequence[str]
) -> dict[str, Lists]:
    """Numbers of a whole pass.

    Args:
        sums: of `ShellSums`, over all samples.
        kinds: without the truth.
        variables: C names.

    Returns:
        By metric, kind and variable a value for each shell, NaN where there is none: `rmse`,
        `correlation`, `log_spectrum_error`; of the kind `truth` its `deviation`.
    """
    count = sums["shells/count"][:, :1]
    found: dict[str, Lists] = {"deviation": {}, "rmse": {}, "correlation": {}}
    found["log_spectrum_error"] = {}
    for kind in kinds:
        means = (sums[f"shells/moments/{kind}"] / count[..., None]).movedim(-1, 0)
        found["rmse"][kind] = _named(variables, means[5].sqrt())
        found["correlation"][kind] = _named(variables, correlation(means[:5]))
        deviation = (means[3] - means[1].square()).clamp_min(0).sqrt()
        found["deviation"]["truth"] = _named(variables, deviation)
        if "shells/spectrum/truth" in sums:
            p, q = (sums[f"shells/spectrum/{k}"] for k in (kind, "truth"))
            errors = torch.where(has_structure(means), log_spectrum_errors(p, q), torch.nan)
            found["log_spectrum_error"][kind] = _named(variables, errors)
    return found


def generators_own(shells: Mapping[str, Any]) -> dict[str, Any]:
    """The generator's errors by shell, five digits each: of all kinds they alone change."""
    return {
        metric: {
            variable: [float(f"{v:.5g}") if math.isfinite(v) else None for v in values]
            for variable, values in shells[metric]["generator"].items()
        }
        for metric in ("rmse", "correlation", "log_spectrum_error")
        if "generator" in shells[metric]
    }


def draw_shells(shells: Mapping[str, Any], epoch: int) -> Any:
    """Profiles of the errors over depth."""
    from hpctrain.analysis import globe_curves

    step = {
        "deviation": shells["deviation"]["truth"],
        "rmse": shells["rmse"],
        "correlation": shells["correlation"],
        "shell_log_spectrum_error": shells["log_spectrum_error"],
    }
    page = {"variables": shells["variables"], "radii": shells["radii"], "steps": [step]}
    with figures.drawing():
        return globe_curves.profiles(page, f"validation, epoch {epoch}")


def _named(variables: Sequence[str], rows: Tensor) -> dict[str, list[float]]:
    """Columns of (shells, C) by variable."""
    return dict(zip(variables, rows.T.tolist(), strict=True))
