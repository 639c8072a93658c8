"""Charts of runs on scrolls, drawn from their numbers; none of a page that is damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpctrain.analysis.charts import figure
from hpctrain.analysis.record import Record, series
from hpctrain.analysis.svg import Axis, Chart, Curve
from hpctrain.run_state import finite

Drawn = dict[str, Any]

_POINTS = 80
"""Of a curve, at most: more are drawn as a band."""
_ONE, _TWO, _FAINT = "generator", "trilinear", "other"
"""Classes that colour curves."""
_SHARE = Axis("", low=0.0, high=1.0)
_EPOCHS: dict[str, Sequence[tuple[str, dict[str, str], Axis]]] = {
    "ink": (
        ("AUC and average precision", {"auc": "AUC", "average_precision": "average precision"},
         _SHARE),
        ("F0.5 and Dice, each at its best threshold", {"f05": "F0.5", "dice": "Dice"}, _SHARE),
        ("calibration error", {"calibration_error": "mean gap"}, Axis("", low=0.0)),
        ("loss on held-out windows", {"loss": "loss"}, Axis("", log=None)),
    ),
    "scroll_vae": (
        ("PSNR, dB", {"psnr": "PSNR"}, Axis("")),
        ("variance explained", {"explained": "explained"}, Axis("")),
        ("active latent numbers", {"active_units": "active"}, Axis("", low=0.0)),
        ("loss on held-out cubes, nats a voxel", {"loss": "loss"}, Axis("")),
    ),
}  # fmt: skip
"""Charts by epoch: title, fields of validation lines with their words, vertical axis."""


def by_epoch(record: Record, task: str) -> list[Drawn]:
    """Scores of each validation."""
    charts = []
    for title, fields, y in _EPOCHS[task]:
        pairs = zip((_ONE, _TWO), fields, strict=False)
        curves = [Curve(css, *series(record.validation, "epoch", key)) for css, key in pairs]
        words = dict(zip((_ONE, _TWO), fields.values(), strict=False))
        chart = Chart(f"{title} by epoch", curves, Axis("epoch", whole=True), y)
        legend = [c.name for c in curves if c.points()] if len(fields) > 1 else []
        charts.append(figure(title, [chart], legend, words))
    return [chart for chart in charts if chart["svg"]]


def ink_curves(page: Mapping[str, Any], ink_share: float | None) -> list[Drawn]:
    """Precision by recall, F0.5 and Dice by threshold, the calibration.

    Args:
        page: as `Detection.curves` and `Detection.calibration` have it.
        ink_share: precision of marking all; drawn as a level.
    """
    try:
        return [
            _precision(page, ink_share),
            _thresholds(page),
            _calibration(page["calibration"]),
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return []  # somebody else's file


def _precision(page: Mapping[str, Any], ink_share: float | None) -> Drawn:
    title = "precision by recall"
    curve = Curve(_ONE, _thinned(page["recall"]), _thinned(page["precision"]))
    recall, precision = (Axis(name, low=0.0, high=1.0) for name in ("recall", "precision"))
    return figure(title, [Chart(title, [curve], recall, precision, level=ink_share)])


def _thresholds(page: Mapping[str, Any]) -> Drawn:
    title, x = "F0.5 and Dice by threshold", _thinned(page["threshold"])
    curves = [Curve(css, x, _thinned(page[key])) for css, key in ((_TWO, "dice"), (_ONE, "f05"))]
    best, at = finite(page["f05_best"]), finite(page["f05_threshold"])
    marks = [] if best is None or at is None else [(at, f"F0.5 {best:.3f} at {at:.3f}")]
    axis = Axis("threshold on the probability", low=0.0, high=1.0)
    chart = Chart(title, curves, axis, _SHARE, marks=marks)
    return figure(title, [chart], [_ONE, _TWO], {_ONE: "F0.5", _TWO: "Dice"})


def _calibration(page: Mapping[str, Any]) -> Drawn:
    title = "calibration"
    found = Curve(_ONE, [float(p) for p in page["predicted"]], [float(p) for p in page["ink"]])
    even = Curve(_FAINT, [0.0, 1.0], [0.0, 1.0])
    x, y = (Axis(name, low=0.0, high=1.0) for name in ("predicted probability", "share of ink"))
    chart = Chart(title, [even, found], x, y)
    return figure(title, [chart], [_ONE, _FAINT], {_ONE: "found", _FAINT: "as it should be"})


def by_distance(curve: Any) -> list[Drawn]:
    """The error by distance from the centre, and yardsticks beside it."""
    if not isinstance(curve, dict) or not isinstance(curve.get("distance"), list):
        return []
    x, words = curve["distance"], {_ONE: "network", _TWO: "block means"}
    lines = [
        Curve(css, x, values)
        for css, key in ((_ONE, "mse"), (_TWO, "block means"))
        if isinstance(values := curve.get(key), list) and len(values) == len(x)
    ]
    axis = Axis("distance from the centre (1: the outside)", low=0.0, high=1.0)
    title = "error by distance from the centre"
    try:
        chart = Chart(title, lines, axis, Axis("mean squared error", low=0.0))
        drawn = figure(title, [chart], [c.name for c in lines] if len(lines) > 1 else [], words)
    except (TypeError, ValueError):
        return []
    return [drawn] if drawn["svg"] else []


def _thinned(values: Sequence[Any]) -> list[float]:
    step = -(-len(values) // _POINTS)
    return [float(v) for v in values[:: max(1, step)]]
