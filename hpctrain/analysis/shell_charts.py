"""Charts of errors by shell: how they have changed over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpctrain.analysis.charts import SMALL, YARDSTICKS, figure
from hpctrain.analysis.depth import heights
from hpctrain.analysis.record import Record
from hpctrain.analysis.svg import Axis, Chart, Curve
from hpctrain.run_state import finite

_METRICS = (
    ("rmse", "RMSE / deviation"),
    ("correlation", "correlation"),
    ("log_spectrum_error", "log-spectrum error"),
)
_EPOCHS = 4
"""So many are shown, the first and the last among them."""

Values = list[float | None]


def shells(record: Record) -> list[dict[str, Any]]:
    """Errors of each variable over depth, for some epochs and for the first yardstick."""
    page, lines = record.shells_page, record.shells
    variables = page.get("variables")
    if not isinstance(variables, list) or not lines:
        return []
    chosen = [lines[i] for i in _spread(len(lines))]
    styles = [f"epoch-{i + _EPOCHS - len(chosen)}" for i in range(len(chosen))]
    labels = {s: f"epoch {line['epoch']:g}" for s, line in zip(styles, chosen, strict=True)}
    found = []
    for variable in map(str, variables):
        charts, names = [], dict[str, None]()
        for metric, title in _METRICS:
            curves = _yardstick(page, metric, variable)
            for style, line in zip(styles, chosen, strict=True):
                values = _values(line.get(metric), variable)
                curves += [Curve(style, *_placed(page, metric, variable, values))]
            curves = [c for c in curves if c.points()]
            names |= {c.name: None for c in curves}
            x = Axis(_axis(page, len(curves[0].x))[1] if curves else "")
            chart = Chart(f"{variable}: {title} by shell", curves, x, Axis(title), height=SMALL)
            charts.append(chart)
        found.append(figure(f"{variable} by shell", charts, list(names), labels))
    return [f for f in found if f["svg"]]


def _yardstick(page: Mapping[str, Any], metric: str, variable: str) -> list[Curve]:
    kinds = page.get(metric)
    for kind in YARDSTICKS:
        values = _values(kinds.get(kind), variable) if isinstance(kinds, dict) else []
        if values:
            return [Curve(kind, *_placed(page, metric, variable, values))]
    return []


def _placed(
    page: Mapping[str, Any], metric: str, variable: str, values: Values
) -> tuple[list[float], Values]:
    """Places of shells, and their values; RMSE as a share of the truth's deviation."""
    if metric == "rmse":
        deviation = _values(page.get("deviation", {}).get("truth"), variable)
        pairs = zip(values, deviation, strict=False)
        values = [v / d if v is not None and d else None for v, d in pairs]
    return _axis(page, len(values))[0], values


def _axis(page: Mapping[str, Any], count: int) -> tuple[list[float], str]:
    radii = page.get("radii")
    known = [r for r in map(finite, radii) if r is not None] if isinstance(radii, list) else []
    return heights(known if known and len(known) == count else None, count)


def _values(content: Any, variable: str) -> Values:
    values = content.get(variable) if isinstance(content, dict) else None
    return [finite(v) for v in values] if isinstance(values, list) else []


def _spread(count: int) -> Sequence[int]:
    """Numbers of some of so many, the first and the last among them."""
    if count <= _EPOCHS:
        return range(count)
    return [round(i * (count - 1) / (_EPOCHS - 1)) for i in range(_EPOCHS)]
