"""Line charts as inline SVG: no library, no script, and colours that follow the page's theme.

The page's style sheet gives the classes their colours, so that one chart serves light, dark and
print. The coordinates are those of a 440 x H box, which is readable on a phone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 440.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 12.0, 8.0, 36.0
MAX_POINTS = 160
"""Curves with more points are drawn as means of `BINS` bins, in a band from least to greatest."""
BINS = 80

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Curve:
    """One line; `name` is also the class that colours it, and points that are None are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]

    def points(self) -> list[tuple[float, float]]:
        """All points that are finite numbers."""
        return [
            (a, b)
            for a, b in zip(self.x, self.y, strict=True)
            if b is not None and math.isfinite(a) and math.isfinite(b)
        ]


@dataclass(frozen=True)
class Axis:
    """One axis: None for `log` chooses by the data, for limits fits them; `whole` counts things."""

    label: str
    log: bool | None = False
    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of one or more curves.

    Attributes:
        title: read out by screen readers.
        curves: drawn in this order.
        x: horizontal axis.
        y: vertical axis; an unforced linear one cuts off rare peaks and says so.
        height: of the box, which is `WIDTH` wide.
        level: a dashed horizontal line, such as a ratio of 1.
        marks: dashed vertical lines with a label.
    """

    title: str
    curves: Sequence[Curve]
    x: Axis
    y: Axis
    height: float = 230.0
    level: float | None = None
    marks: Sequence[tuple[float, str]] = field(default=())

    def svg(self) -> str:
        """The chart as an `<svg>` element, or an empty text when there is no point to draw."""
        points = [p for curve in self.curves for p in curve.points()]
        x_log, y_log = (
            _is_log(self.x, [p[0] for p in points]),
            _is_log(self.y, [p[1] for p in points]),
        )
        points = [p for p in points if (p[0] > 0 or not x_log) and (p[1] > 0 or not y_log)]
        if not points:
            return ""
        x = _Scale(_limits(self.x, [p[0] for p in points], x_log, 0.0), x_log, LEFT, WIDTH - RIGHT)
        y_limits, is_cut = _y_limits(self.y, [p[1] for p in points], y_log)
        y = _Scale(y_limits, y_log, self.height - BOTTOM, TOP)
        # Three more on each side, so that dots on the edge stay whole.
        width, height = x.end - x.start + 6, y.start - y.end + 6
        box = f"{LEFT - 3:g} {TOP - 3:g} {width:g} {height:g}"
        place = 'x="{}" y="{}" width="{}" height="{}"'.format(*box.split())
        # An inner svg clips what lies outside of it, without an id that a page may hold twice.
        parts = [*self._frame(x, y), f'<svg {place} viewBox="{box}">']
        if self.level is not None:
            parts.append(_line(x.start, y(self.level), x.end, y(self.level), "level"))
        parts += [_curve(curve, x, y) for curve in self.curves]
        parts += ["</svg>", *self._labels(x, y, is_cut)]
        head = (
            f'<svg viewBox="0 0 {WIDTH:g} {self.height:g}" role="img" class="chart" '
            f'aria-label="{escape(self.title)}"><title>{escape(self.title)}</title>'
        )
        return "".join([head, *parts, "</svg>"])

    def _frame(self, x: _Scale, y: _Scale) -> list[str]:
        parts = []
        for value in y.ticks(5 if self.height > 150 else 3):
            parts.append(_line(x.start, y(value), x.end, y(value), "rule"))
            parts.append(_text(x.start - 6, y(value) + 4, tick_label(value), "tick", "end"))
        for value in x.ticks(6):
            if self.x.whole and value != int(value):
                continue
            parts.append(_line(x(value), y.start, x(value), y.start + 4, "axis"))
            parts.append(_text(x(value), y.start + 16, tick_label(value), "tick", "middle"))
        parts.append(_line(x.start, y.start, x.end, y.start, "axis"))
        return parts

    def _labels(self, x: _Scale, y: _Scale, is_cut: bool) -> list[str]:
        parts = [_text((x.start + x.end) / 2, y.start + 31, self.x.label, "label", "middle")]
        if self.y.label:
            middle = (y.start + y.end) / 2
            turn = f' transform="rotate(-90 11 {middle:g})"'
            parts.append(_text(11, middle, self.y.label, "label", "middle", turn))
        if is_cut:
            parts.append(_text(x.end, y.end + 9, "rare peaks are cut off", "label", "end"))
        for i, (value, name) in enumerate(self.marks):
            if x.low < value < x.high:
                height = y.end + (9, 21)[i % 2]  # neighbours' names do not run into each other
                parts.append(_line(x(value), y.start, x(value), y.end, "level"))
                parts.append(_text(x(value) + 5, height, name, "label", "start"))
        return parts


class _Scale:
    """Data to coordinates along one axis."""

    def __init__(self, limits: tuple[float, float], log: bool, start: float, end: float) -> None:
        self.low, self.high = limits
        self.log, self.start, self.end = log, start, end
        self._map: Callable[[float], float] = math.log10 if log else float

    def __call__(self, value: float) -> float:
        low, high = self._map(self.low), self._map(self.high)
        if self.log and value <= 0:
            value = self.low
        return self.start + (self._map(value) - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        return (_log_ticks if self.log else _linear_ticks)(self.low, self.high, count)


def tick_label(value: float) -> str:
    """A number as short as can be: `0.25`, `1500`, `10⁻⁴`, `2·10⁶`."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    if mantissa in ("1", "-1"):
        return mantissa[:-1] + power
    return f"{mantissa}·{power}"


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """Points as (x, mean, least, greatest): each by itself, or of `BINS` bins of equal count."""
    count = len(points) if len(points) <= MAX_POINTS else BINS
    bins = []
    for i in range(count):
        part = points[i * len(points) // count : (i + 1) * len(points) // count]
        ys = [p[1] for p in part]
        bins.append((sum(p[0] for p in part) / len(part), sum(ys) / len(ys), min(ys), max(ys)))
    return bins


def _is_log(axis: Axis, values: Sequence[float]) -> bool:
    """Logarithmic when forced, or when all is positive and spans more than a factor of 20."""
    if axis.log is not None or not values:
        return bool(axis.log)
    return min(values) > 0 and max(values) > 20 * min(values)


def _limits(axis: Axis, values: Sequence[float], log: bool, margin: float) -> tuple[float, float]:
    """Limits of an axis: the given ones, else the values with a margin."""
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if high <= low:
        # One value only: it goes into the middle.
        spare = abs(low) * 0.5 or 1.0
        return (low / 2, low * 2) if log else (low - spare, low + spare)
    spare = (high / low) ** margin if log else margin * (high - low)
    if axis.low is None:
        low = low / spare if log else low - spare
    if axis.high is None:
        high = high * spare if log else high + spare
    return low, high


def _y_limits(axis: Axis, values: Sequence[float], log: bool) -> tuple[tuple[float, float], bool]:
    """Limits that leave out rare peaks far from all else, and whether any were left out."""
    ordered = sorted(values)
    low, high = (ordered[int(q * (len(ordered) - 1))] for q in (0.01, 0.99))
    span = high - low
    far = ordered[-1] > high + 2 * span or ordered[0] < low - 2 * span
    if log or len(values) < 100 or span == 0 or not far:
        return _limits(axis, values, log, 0.06), False
    kept = [v for v in ordered if low - span / 4 <= v <= high + span / 4]
    return _limits(axis, kept, log, 0.06), True


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = power * (1, 2, 2.5, 5, 10)[bisect_right((1.0001, 2.0001, 2.5001, 5.0001), raw / power)]
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    decades = math.log10(high / low)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if decades < 0.7:
        return _linear_ticks(low, high, count - 1)
    if decades < 2.2 and count > 3:
        values = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    else:
        stride = math.ceil(decades / (count + 0.5))
        values = [10.0**e for e in range(first, last + 1) if e % stride == 0]
    return [v for v in values if low <= v * (1 + 1e-9) and v <= high * (1 + 1e-9)]


def _curve(curve: Curve, x: _Scale, y: _Scale) -> str:
    points = [p for p in curve.points() if (p[0] > 0 or not x.log) and (p[1] > 0 or not y.log)]
    if not points:
        return ""
    bins = thin(points)
    css = escape(curve.name)
    band = ""
    if len(points) > MAX_POINTS:
        upper = [f"{x(b[0]):.1f},{y(b[3]):.1f}" for b in bins]
        lower = [f"{x(b[0]):.1f},{y(b[2]):.1f}" for b in reversed(bins)]
        band = f'<polygon class="band c-{css}" points="{" ".join(upper + lower)}"/>'
    line = " ".join(f"{x(b[0]):.1f},{y(b[1]):.1f}" for b in bins)
    dots = ""
    if len(bins) <= 12:
        dots = "".join(
            f'<circle class="dot c-{css}" cx="{x(b[0]):.1f}" cy="{y(b[1]):.1f}" r="2.6"/>'
            for b in bins
        )
    return f'{band}<polyline class="line c-{css}" points="{line}"/>{dots}'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, css: str, anchor: str, more: str = "") -> str:
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
        f"{escape(text)}</text>"
    )
