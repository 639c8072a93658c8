"""Figures of truth, input, upsampled and generated fields, and of their spectra.

Only `Figure` objects, never pyplot: pyplot keeps global state, and figures are drawn by a thread
beside the training. Drawing takes a lock, as matplotlib shares its text parser among threads.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, NullFormatter

from hpctrain.provenance import Stamp, embed

Array = npt.NDArray[Any]

COLORS = {
    "truth": "#1b1b1b",
    "trilinear": "#d9822b",
    "tricubic": "#b3488a",
    "input": "#d9822b",
    "generator": "#1f6fb4",
    "generated": "#1f6fb4",
}
"""One colour a curve, the same in figures and in the report; told apart also when colour-blind."""

_COLUMNS = ("input", "trilinear", "generated", "truth")
_INK, _FAINT = "#1b1b1b", "#6b7280"
_EXTEND = {
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_lock = threading.Lock()


def drawing() -> threading.Lock:
    """The lock that is held, by a `with`, while a figure is drawn."""
    return _lock


def plain_panel(panel: Axes) -> None:
    """A faint grid and no more frame than axes need."""
    panel.grid(True, color="#e5e7eb", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set(color="#9aa1ab", linewidth=0.7)
    panel.tick_params(which="both", labelsize=8, color="#9aa1ab", labelcolor=_INK, width=0.6)


def pick_layers(depth: int, count: int = 3) -> list[int]:
    """Evenly spread layers of a field of so many, none of them at an edge if it can be helped."""
    count = min(count, depth)
    return [int((i + 0.5) * depth / count) for i in range(count)]


def layer_title(index: int, total: int, radius_km: float | None = None, name: str = "shell") -> str:
    """Title of one layer, counted from 1: `shell 12 of 32 (4567 km)`."""
    where = "" if radius_km is None else f" ({radius_km:.0f} km)"
    return f"{name} {index + 1} of {total}{where}"


def slices(
    truth: Array,
    coarse: Array | None,
    upsampled: Array | None,
    generated: Array,
    variables: Sequence[str],
    *,
    units: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    layer_titles: Sequence[str] | None = None,
    title: str = "",
    axis_names: tuple[str, str] = ("latitude", "longitude"),
) -> dict[str, Figure]:
    """Draw layers of one sample: input, trilinear, generated, truth; one figure a variable.

    Columns for which nothing is given are left out.

    All panels of a row share one colour scale, that of the truth.

    Args:
        truth: (C, D, H, W) in physical units; D counts the layers.
        coarse: the model's input without its halo, (C, D/f, H/f, W/f); None: of other variables.
        upsampled: trilinear upsampling of the input, of the truth's shape; None: at one resolution.
        generated: the model's output, of the truth's shape.
        variables: C names.
        units: C units, such as `K` or `m/s`.
        layers: which layers along D; None: three, evenly spread.
        layer_titles: one title a layer; None: `shell i of D`.
        title: put under the variable's name, such as `epoch 12, mantle031.nc`.
        axis_names: names of the axes H and W.

    Returns:
        One figure by name of variable, in the order of `variables`.
    """
    given = dict(zip(_COLUMNS, (coarse, upsampled, generated, truth), strict=True))
    fields = {n: np.asarray(f, dtype=np.float32) for n, f in given.items() if f is not None}
    _check_shapes(fields, variables)
    depth = fields["truth"].shape[1]
    layers = pick_layers(depth) if layers is None else list(layers)
    titles = layer_titles or [layer_title(i, depth) for i in layers]
    figures = {}
    for c, variable in enumerate(variables):
        rows = [{n: _layer(f[c], i, depth) for n, f in fields.items()} for i in layers]
        unit = units[c] if units else ""
        with _lock:
            figures[variable] = _slice_figure(variable, unit, rows, titles, title, axis_names)
    return figures


def spectra(
    k: Array, curves: Mapping[str, Array], variables: Sequence[str], title: str = ""
) -> Figure:
    """Draw power spectra over their ratio to the truth, one column a variable.

    Args:
        k: (K,) in cycles per sample width.
        curves: `truth` and any others of `COLORS`, each (C, K).
        variables: C names.
        title: put above all panels.
    """
    with _lock:
        width = max(4.2, 3.0 * len(variables))
        figure = Figure(figsize=(width, 4.6), dpi=110, facecolor="white", layout="constrained")
        grid = figure.subplots(
            2, len(variables), sharex=True, squeeze=False, height_ratios=[2.2, 1.0]
        )
        for c, variable in enumerate(variables):
            _spectrum_panels(grid[0, c], grid[1, c], np.asarray(k), curves, c)
            grid[0, c].set_title(variable, fontsize=10, color=_INK, fontweight="bold")
        grid[0, 0].set_ylabel("power per mode", fontsize=9, color=_FAINT)
        grid[1, 0].set_ylabel("ratio to truth", fontsize=9, color=_FAINT)
        grid[0, 0].legend(frameon=False, fontsize=8.5, loc="lower left")
        figure.supxlabel("cycles per sample width", fontsize=9, color=_FAINT)
        if title:
            figure.suptitle(title, fontsize=9.5, color=_FAINT)
        return figure


def to_array(figure: Figure) -> npt.NDArray[np.uint8]:
    """Pixels of a figure, (H, W, 3), as TensorBoard's `add_image` takes them with HWC."""
    with _lock:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
        return pixels[..., :3].copy()


def save(figure: Figure, path: Path, stamp: Stamp | None = None) -> Path:
    """Write a figure as PNG under a temporary name, then rename, so that no reader sees half.

    Args:
        figure: drawn.
        path: where it goes.
        stamp: what the file says of where it is from.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.part.png")
    try:
        with _lock:
            FigureCanvasAgg(figure).print_png(part)  # type: ignore[no-untyped-call]
        if stamp is not None:
            embed(part, stamp)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def figure_path(folder: Path, epoch: int, variable: str) -> Path:
    """Where the figure of a variable goes: `epoch_0012_temperature.png`."""
    return folder / f"epoch_{epoch:04d}_{variable.replace('/', '_')}.png"


def _check_shapes(fields: Mapping[str, Array], variables: Sequence[str]) -> None:
    truth = fields["truth"]
    coarse = fields.get("input", truth)
    shapes = ", ".join(f"{n} {f.shape}" for n, f in fields.items())
    fine = [f.shape for n, f in fields.items() if n != "input"]
    if any(shape != truth.shape for shape in fine) or truth.ndim != 4:
        raise ValueError(f"trilinear, generated and truth must all be (C, D, H, W): {shapes}")
    if coarse.ndim != 4 or not len(coarse) == len(truth) == len(variables):
        raise ValueError(f"{len(variables)} variables do not fit the channels of {shapes}")


def _layer(field: Array, index: int, depth: int) -> Array:
    """The layer of a field (D', H', W') that lies where layer `index` of `depth` lies."""
    layer: Array = field[index * len(field) // depth]
    return layer


def _slice_figure(
    variable: str,
    unit: str,
    rows: Sequence[Mapping[str, Array]],
    titles: Sequence[str],
    title: str,
    axis_names: tuple[str, str],
) -> Figure:
    """Place all panels by inches, so that the rows line up whatever their colour bars say."""
    width, height = _panel_size(rows[0]["truth"].shape)
    count = len(rows[0])
    row_height, foot = height + 0.98, 0.25
    size = (count * (width + 0.1) + 1.35, len(rows) * row_height + foot + (0.1 if title else -0.1))
    figure = Figure(figsize=size, dpi=110, facecolor="white")

    def place(x: float, y: float, w: float, h: float) -> Axes:
        return figure.add_axes((x / size[0], y / size[1], w / size[0], h / size[1]))

    truth = np.stack([row["truth"] for row in rows])
    diverging = is_diverging(variable, truth)
    scale = readable_unit(max(map(abs, color_range(truth, diverging))), unit)
    for i, (row, layer) in enumerate(zip(rows, titles, strict=True)):
        bottom = foot + (len(rows) - 1 - i) * row_height
        axes = [place(0.3 + c * (width + 0.1), bottom, width, height) for c in range(count)]
        bar = place(0.3 + count * (width + 0.1), bottom + 0.06 * height, 0.13, 0.88 * height)
        _draw_row(axes, bar, row, scale, diverging)
        figure.text(
            0.3 / size[0],
            (bottom + height + 0.5) / size[1],
            f"{variable}, {layer}",
            fontsize=11,
            fontweight="bold",
            color=_INK,
        )
        axes[0].set_ylabel(axis_names[0], fontsize=8.5, color=_FAINT, labelpad=3)
    axes[0].set_xlabel(axis_names[1], fontsize=8.5, color=_FAINT, labelpad=3)
    if title:
        figure.text(0.3 / size[0], 1 - 0.24 / size[1], title, fontsize=9.5, color=_FAINT)
    return figure


def _draw_row(
    axes: Sequence[Axes],
    bar: Axes,
    row: Mapping[str, Array],
    scale: tuple[float, str],
    diverging: bool,
) -> None:
    """Draw input, trilinear, generated and truth of one layer with one colour bar."""
    truth = row["truth"]
    low, high = color_range(truth, diverging)
    factor, unit_text = scale
    for panel, (name, field) in zip(axes, row.items(), strict=True):
        # `auto` fills the panel, whose proportions are those of the truth, also with coarse cells.
        image = panel.imshow(
            field * factor,
            cmap="RdBu_r" if diverging else "inferno",
            vmin=low * factor,
            vmax=high * factor,
            aspect="auto",
            interpolation="nearest",
        )
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set(color="#c4c8cf", linewidth=0.6)
        panel.set_title(name, fontsize=9.5, color=_INK, pad=15)
        note = _panel_note(name, field, truth, factor, unit_text)
        panel.annotate(
            note,
            (0.5, 1.0),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=_FAINT,
        )
    below, above = (
        any(f.min() < low for f in row.values()),
        any(f.max() > high for f in row.values()),
    )
    colorbar = axes[0].figure.colorbar(
        image, cax=bar, extend=_EXTEND[below, above], ticks=MaxNLocator(5)
    )
    colorbar.set_label(unit_text, fontsize=9, color=_INK)
    bar.tick_params(labelsize=8.5, color=_FAINT, labelcolor=_INK, length=2.5)
    colorbar.outline.set_linewidth(0.4)


def _panel_note(name: str, field: Array, truth: Array, factor: float, unit: str) -> str:
    """Second line of a panel's title: its cells, or how far it is from the truth."""
    if name in ("input", "truth"):
        return f"{field.shape[0]} × {field.shape[1]}"
    rmse = float(np.sqrt(np.mean(np.square(field - truth, dtype=np.float64)))) * factor
    # A unit such as 10⁻⁹ m/s already holds a number; a dot keeps the two apart.
    return f"RMSE {rmse:.3g}{' ·' if factor != 1 else ''} {unit}".rstrip(" ·")


def _panel_size(shape: Sequence[int]) -> tuple[float, float]:
    """Width and height of a panel in inches: true proportions, but never a thin strip."""
    proportion = min(max(shape[1] / shape[0], 0.4), 3.0)
    width = min(2.4 * math.sqrt(proportion), 3.2)
    return width, width / proportion


def color_range(truth: Array, diverging: bool) -> tuple[float, float]:
    """Range of all but the truth's most extreme values; around 0 when diverging."""
    low, high = (float(v) for v in np.percentile(truth, (0.5, 99.5)))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    if high <= low:
        # A constant field still gets a bar: one that has its value in the middle.
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return low, high


def is_diverging(variable: str, truth: Array) -> bool:
    """True for fields around 0: by name, or as both signs are strong."""
    words = variable.lower().replace("_", " ").split()
    if "anomaly" in words or "velocity" in words or words[0] in ("vx", "vy", "vz"):
        return True
    low, high = float(truth.min()), float(truth.max())
    return low < 0 < high and min(-low, high) > 0.15 * max(-low, high)


def readable_unit(largest: float, unit: str) -> tuple[float, str]:
    """Factor and text of a unit in which values lie between 0.01 and 100 000."""
    if not 0 < largest < math.inf or 1e-2 <= largest < 1e5:
        return 1.0, unit
    exponent = 3 * math.floor(math.log10(largest) / 3)
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return 10.0**-exponent, f"{power} {unit}".rstrip()


def _spectrum_panels(
    power: Axes, ratio: Axes, k: Array, curves: Mapping[str, Array], c: int
) -> None:
    """Draw one variable's spectra and, below, their ratio to the truth."""
    truth = np.asarray(curves["truth"])[c]
    for name, values in curves.items():
        style: dict[str, Any] = {"color": COLORS[name], "linewidth": 1.7, "label": name}
        power.plot(k, np.asarray(values)[c], **style)
        if name != "truth":
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio.plot(k, np.asarray(values)[c] / truth, **style)
    ratio.axhline(1.0, color=COLORS["truth"], linewidth=1.0, linestyle=(0, (4, 3)))
    for panel in (power, ratio):
        panel.set_xscale("log")
        # A field that is zero everywhere has no logarithm; its flat line stays on a linear axis.
        if any((np.asarray(line.get_ydata()) > 0).any() for line in panel.lines):
            panel.set_yscale("log", nonpositive="mask")
        plain_panel(panel)
        panel.xaxis.set_major_formatter(LogFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
    # Beyond a factor of a hundred either way only rounding noise is compared.
    low, high = ratio.get_ylim()
    ratio.set_ylim(max(low, 1e-2), max(min(high, 1e2), 2.0))
