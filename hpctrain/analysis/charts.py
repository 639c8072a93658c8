"""Which curves of a run are drawn, on which axes; each function returns charts for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hpctrain.analysis.record import Record, keys, series
from hpctrain.analysis.svg import Axis, Chart, Curve, tick_label
from hpctrain.run_state import finite

YARDSTICKS = ("trilinear", "input", "tricubic")
"""What a generator is compared with: upsampling, or at one resolution the input itself."""
KINDS = ("truth", *YARDSTICKS, "generator")

BY_VARIABLE = "by_variable/"
"""How fields of validation lines begin that are of one variable: then its name, metric, kind."""
SMALL = 165.0
"""Height of charts that stand above each other."""

_NETWORKS = ("generator", "discriminator")
_RATE = "learning_rate/"


def figure(
    title: str,
    charts: Sequence[Chart],
    legend: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One figure of the page: charts above each other under one title and legend.

    Args:
        title: above all.
        charts: those that are empty are left out.
        legend: names of curves.
        labels: what they are called there; default: their names.
    """
    drawn = [Markup(chart.svg()) for chart in charts]  # noqa: S704 - svg() escapes all its texts
    called = [{"css": name, "text": (labels or {}).get(name, name)} for name in legend]
    return {"title": title, "legend": called, "svg": [svg for svg in drawn if svg]}


def losses(record: Record) -> list[dict[str, Any]]:
    """One chart for each loss by step; linear or logarithmic as fits its values."""
    marks = _marks(record)
    charts = []
    found = keys(record.train, "loss/")
    own = {*_NETWORKS, *(key.removeprefix(_RATE) for key in keys(record.train, _RATE))}
    networks = [key for key in found if key.removeprefix("loss/") in own]
    for key in dict.fromkeys([*networks, *found]):
        name = key.removeprefix("loss/")
        title = f"{name} loss" if name in own else name.replace("_", " ")
        curve = Curve(_style(name), *series(record.train, "step", key))
        chart = Chart(title, [curve], _steps(record), Axis("", log=None), marks=marks)
        charts.append(figure(title, [chart]))
    return _drawn(charts)


def rates(record: Record) -> list[dict[str, Any]]:
    """Learning rates of all optimizers by step."""
    return _drawn([_together(record, _RATE, "learning rate", Axis("", low=0.0))])


def speeds(record: Record) -> list[dict[str, Any]]:
    """Samples per second by step."""
    x, y = series(record.train, "step", "samples_per_s")
    chart = Chart("samples/s", [Curve("generator", x, y)], _steps(record), Axis("", low=0.0))
    return _drawn([figure("samples/s", [chart])])


_SHARES = {
    "data": "waiting for data",
    "communication": "waiting for communication",
    "optimizer": "optimizers",
}


def shares(record: Record) -> list[dict[str, Any]]:
    """Mean shares of a step's time; records of older runs lack some of them."""
    found = {}
    for key in keys(record.train, "share/"):
        values = [v for v in series(record.train, "step", key)[1] if v is not None]
        if values:
            found[key.removeprefix("share/")] = sum(values) / len(values)
    if not found:
        return []
    computing = max(0.0, 1.0 - sum(found.values()))
    parts = [("computing", found.pop("forward_backward", computing))]
    parts += [(_SHARES.get(name, name), share) for name, share in found.items()]
    return [
        {"name": name, "percent": 100 * share, "style": f"share-{i}"}
        for i, (name, share) in enumerate(parts)
    ]


def validations(record: Record) -> list[dict[str, Any]]:
    """Errors on validation samples by epoch, generator against its yardstick."""
    names = dict.fromkeys(
        key.rsplit("/", 1)[0]
        for line in record.validation
        for key in line
        if "/" in key and not key.startswith(BY_VARIABLE)
    )
    charts = []
    for name in names:
        curves = _by_kind(record, f"{name}/")
        title = f"{_title(name)} by epoch"
        chart = Chart(title, curves, Axis("epoch", whole=True), Axis("", log=None))
        charts.append(figure(title, [chart], [c.name for c in curves if c.points()]))
    return _drawn(charts)


def variables(record: Record) -> list[dict[str, Any]]:
    """The same of single variables, one figure each."""
    found: dict[str, dict[str, None]] = {}
    for key in keys(record.validation, BY_VARIABLE):
        variable, metric, _ = key.removeprefix(BY_VARIABLE).rsplit("/", 2)
        found.setdefault(variable, {})[metric] = None
    figures = []
    for variable, metrics in found.items():
        charts, legend = [], dict[str, None]()
        for metric in metrics:
            curves = _by_kind(record, f"{BY_VARIABLE}{variable}/{metric}/")
            legend |= {c.name: None for c in curves if c.points()}
            curves, power = _readable(curves)
            epoch = Axis("epoch", whole=True)
            y = Axis(f"{_title(metric)}{power}", log=None)
            charts.append(Chart(f"{variable}: {metric}", curves, epoch, y, height=SMALL))
        figures.append(figure(f"{variable} by epoch", charts, list(legend)))
    return _drawn(figures)


def _by_kind(record: Record, prefix: str) -> list[Curve]:
    """Values of a validation by epoch, one curve a kind."""
    return [
        Curve(kind, *series(record.validation, "epoch", f"{prefix}{kind}"))
        for kind in (*YARDSTICKS, "generator")
    ]


def _readable(curves: list[Curve]) -> tuple[list[Curve], str]:
    """Curves whose numbers are short, and the power of ten that was taken out of them."""
    largest = max((abs(y) for curve in curves for _, y in curve.points()), default=0.0)
    if largest == 0 or 1e-3 <= largest < 1e5:
        return curves, ""
    power = 3 * math.floor(math.log10(largest) / 3)
    scaled = [
        Curve(c.name, c.x, [None if y is None else y / 10.0**power for y in c.y]) for c in curves
    ]
    return scaled, f", {tick_label(10.0**power)}"


def _title(metric: str) -> str:
    titles = {"rmse": "RMSE", "log_spectrum_error": "log-spectrum error"}
    return titles.get(metric, metric.replace("_", " "))


def spectra(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Power spectra of truth, trilinear and generated fields, and below their ratio to truth."""
    k = content.get("k")
    truth = content.get("truth")
    if not isinstance(k, list) or not isinstance(truth, dict):
        return []
    unit = str(content.get("k_unit", "wave number"))
    return _drawn([_spectrum(str(v), k, unit, content) for v in truth])


def _spectrum(variable: str, k: list[Any], unit: str, content: Mapping[str, Any]) -> dict[str, Any]:
    curves = []
    for kind in KINDS:
        values = content.get(kind)
        powers = values.get(variable) if isinstance(values, dict) else None
        if isinstance(powers, list) and len(powers) == len(k):
            curves.append(Curve(kind, k, [finite(p) for p in powers]))
    ratios = [Curve(c.name, k, _ratio(c.y, curves[0].y)) for c in curves if c.name != "truth"]
    x = Axis(unit, log=True)
    # A factor of ten is wrong enough: beyond it only rounding noise would set the scale.
    ratio_axis = Axis("ratio to truth", log=True, low=0.1, high=10.0)
    charts = [
        Chart(f"power spectrum of {variable}", curves, x, Axis("power per mode", log=True)),
        Chart(f"{variable}: ratio to truth", ratios, x, ratio_axis, height=140.0, level=1.0),
    ]
    return figure(variable, charts, [c.name for c in curves])


def _ratio(power: Sequence[float | None], truth: Sequence[float | None]) -> list[float | None]:
    return [p / q if p is not None and q else None for p, q in zip(power, truth, strict=True)]


def _together(record: Record, prefix: str, title: str, y: Axis) -> dict[str, Any]:
    """All fields with a prefix in one chart, coloured by what follows the prefix."""
    curves, words = [], {}
    for key in keys(record.train, prefix):
        name = key.removeprefix(prefix)
        curves.append(Curve(_style(name), *series(record.train, "step", key)))
        words[_style(name)] = name
    chart = Chart(title, curves, _steps(record), y)
    return figure(title, [chart], [c.name for c in curves], words)


def _style(name: str) -> str:
    """Class that colours a curve; anything but the two networks shares one colour."""
    return name if name in _NETWORKS else "other"


def _steps(record: Record) -> Axis:
    """The same axis for all charts by step, so that they can be compared."""
    steps = [step for line in record.train if (step := finite(line.get("step"))) is not None]
    return Axis("step", whole=True, low=0.0, high=max(steps, default=None))


def _marks(record: Record) -> list[tuple[float, str]]:
    """Steps at which something begins, each with what begins there."""
    names: dict[float, list[str]] = {}
    for step, name in (*_stage_starts(record), *_adversary_starts(record)):
        names.setdefault(step, []).append(name)
    return [(step, ", ".join(names[step])) for step in sorted(names)]


def _adversary_starts(record: Record) -> list[tuple[float, str]]:
    """The step at which generator-only pre-training ends, from the configuration."""
    train = record.config.get("train")
    epochs = finite(train.get("pretrain_epochs")) if isinstance(train, dict) else None
    if not epochs or not train.get("adversary"):  # type: ignore[union-attr]
        return []
    step = _step_at(record, epochs)
    return [(step, "adversary")] if step else []


def _stage_starts(record: Record) -> list[tuple[float, str]]:
    """The steps at which samples of another size begin."""
    return [
        (_step_at(record, first), f"crop {' x '.join(map(str, crop))}")
        for first, _, crop in _stages(record)[1:]
    ]


def _step_at(record: Record, epoch: float) -> float:
    """Steps before an epoch; 0 where that is not known."""
    stages = _stages(record) or [(0.0, record.state.number("steps_per_epoch") or 0.0, [])]
    ends = [*(first for first, _, _ in stages[1:]), math.inf]
    return sum(
        (min(end, epoch) - first) * steps
        for (first, steps, _), end in zip(stages, ends, strict=True)
        if first < epoch
    )


def _stages(record: Record) -> list[tuple[float, float, list[int]]]:
    """First epoch, steps an epoch and crop of each stage; none where there is only one."""
    found = record.state.fields.get("stages")
    try:
        return [
            (float(s["first_epoch"]), float(s["steps_per_epoch"]), list(s["crop"]))
            for s in found or ()
        ]
    except (TypeError, ValueError, KeyError):
        return []  # somebody else's file


def _drawn(figures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures in which there is something to see."""
    return [f for f in figures if f["svg"]]
