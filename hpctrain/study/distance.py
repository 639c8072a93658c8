"""The error of a validation by distance from the centre of a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from hpctrain.errors import ConfigError
from hpctrain.study.made import Found, Row, rounded
from hpctrain.study.noise import Noise
from hpctrain.study.record import Trained

_INNER = 0.5
"""Cells up to this distance are the middle, to which all are compared."""
_WORSE = 1.1


def answer_distance(page: dict[str, Any], runs: Sequence[Trained]) -> Found:
    """The error at each distance, and how much of it is beyond that of the middle.

    Raises:
        ConfigError: no run has been validated.
    """
    known = [run for run in runs if run.by_distance]
    if not known:
        raise ConfigError("no run of the study has been validated yet; start it first")
    distances = known[0].by_distance["distance"]
    ratios = [_ratios(run.by_distance) for run in known]
    rows: list[Row] = [
        {
            "distance": rounded(distance),
            "runs": len(known),
            "mse": rounded(fmean(run.by_distance["mse"][i] for run in known)),
            "to the middle": rounded(fmean(own[i] for own in ratios)),
        }
        for i, distance in enumerate(distances)
    ]
    curves = [{"seed": run.seed, **run.by_distance} for run in known]
    return Found(rows, _sentences(rows, ratios), {"curves": curves, "inner": _INNER})


def _ratios(curve: dict[str, list[float]]) -> list[float]:
    """Errors over the mean error of the middle."""
    pairs = [*zip(curve["distance"], curve["mse"], strict=True)]
    inner = [mse for distance, mse in pairs if distance <= _INNER] or [pairs[0][1]]
    middle = fmean(inner)
    return [mse / middle if middle else math.nan for _, mse in pairs]


def _sentences(rows: Sequence[Row], ratios: Sequence[Sequence[float]]) -> list[str]:
    edge = [own[-1] for own in ratios]
    text = (
        f"the squared error at the surface of a window is {fmean(edge):.3g} times that of its "
        f"middle (distances up to {_INNER:g})"
    )
    if len(edge) < 2:
        return [f"{text}; one run, so nothing says what is noise"]
    margin = Noise(stdev(edge), len(edge) - 1, is_of_seeds=True).margin(len(edge), 10**9) or 0.0
    if abs(fmean(edge) - 1) <= margin:
        return [f"{text}, which is within the noise of {margin:.2g} between seeds: no difference"]
    found = [f"{text}; noise between seeds {margin:.2g}"]
    outer = _worse_from(rows)
    if outer is not None:
        found.append(
            f"from distance {outer:.3g} outwards it is more than {_WORSE:g} times that of the "
            "middle"
        )
    return found


def _worse_from(rows: Sequence[Row]) -> float | None:
    """The first distance from which on all are worse."""
    worse = None
    for row in reversed(rows):
        if row["to the middle"] <= _WORSE:
            break
        worse = row["distance"]
    return worse
