"""Maps of shells, sections, spectra, profiles and calibration of whole fields on a globe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from hpctrain.analysis.depth import EARTH_RADIUS_KM, heights, is_earth
from hpctrain.analysis.figures import COLORS, color_range, is_diverging, readable_unit

Array = NDArray[Any]
TRANSITION_KM = 660.0
_INK, _FAINT = "#1b1b1b", "#6b7280"
_TITLES = {"generator": "generated"}


class Panels:
    """Truth, yardstick, generated and their difference of one variable, with two colour bars.

    Args:
        fields: by kind, arrays whose values set the scales; `truth` and `generator` among them.
        variable: its name.
        unit: its unit.
    """

    def __init__(self, fields: Mapping[str, Array], variable: str, unit: str) -> None:
        truth = fields["truth"]
        self.kinds = [k for k in ("truth", "trilinear", "input", "generator") if k in fields]
        diverging = is_diverging(variable, truth)
        low, high = color_range(truth, diverging)
        self.factor, self.unit = readable_unit(max(abs(low), abs(high)), unit)
        spread = float(np.percentile(np.abs(fields["generator"] - truth), 99.5)) or 1.0
        # Values of diverging fields and differences are told apart by their colours.
        self.map = "RdBu_r" if diverging else "inferno"
        self.norm = Normalize(low * self.factor, high * self.factor)
        self.difference_norm = Normalize(-spread * self.factor, spread * self.factor)

    @property
    def titles(self) -> list[str]:
        """Titles of the columns."""
        return [*(_TITLES.get(k, k) for k in self.kinds), "generated − truth"]

    def columns(self, fields: Mapping[str, Array]) -> list[tuple[Array, str, Normalize]]:
        """What is drawn in each column: values, colour map and scale."""
        shown = [(fields[k] * self.factor, self.map, self.norm) for k in self.kinds]
        difference = (fields["generator"] - fields["truth"]) * self.factor
        return [*shown, (difference, "PuOr_r", self.difference_norm)]

    def bars(self, figure: Figure, axes: Array) -> None:
        """One bar below the fields, one below the differences."""
        for row, norm, cmap, text in (
            (axes[:, :-1], self.norm, self.map, self.unit),
            (axes[:, -1:], self.difference_norm, "PuOr_r", f"difference, {self.unit}"),
        ):
            width = 0.45 if row.shape[1] > 1 else 0.9
            bar = figure.colorbar(
                ScalarMappable(norm, cmap), ax=list(row.ravel()), location="bottom",
                shrink=width, aspect=22 * width * row.shape[1], pad=0.03, extend="both",
                ticks=MaxNLocator(5),
            )  # fmt: skip
            bar.set_label(text.strip(", "), fontsize=9, color=_INK)
            bar.ax.tick_params(labelsize=8.5, labelcolor=_INK, color=_FAINT, length=2.5)
            bar.outline.set_linewidth(0.4)


def shell_maps(
    fields: Mapping[str, Array],
    variable: str,
    unit: str,
    axes: tuple[Array, Array],
    shells: Sequence[str],
    title: str,
    panels: Panels | None = None,
) -> tuple[Figure, list[tuple[Any, ...]]]:
    """Shells in Mollweide's projection, which keeps areas; one row a shell.

    Args:
        fields: by kind, (shells, H, W).
        variable: its name.
        unit: its unit.
        axes: latitudes (H,) and longitudes (W,) in degrees.
        shells: their titles.
        title: put above all.
        panels: scales that are used; None: those of these fields.

    Returns:
        The figure, and its meshes row by row, for an animation.
    """
    panels = panels or Panels(fields, variable, unit)
    count = len(panels.titles)
    size = (2.75 * count, 1.52 * len(shells) + 1.2)
    figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    grid = figure.subplots(
        len(shells), count, squeeze=False, subplot_kw={"projection": "mollweide"}
    )
    x, y = _edges(axes[1], 360.0), _edges(axes[0], None)
    meshes = []
    for i, shell in enumerate(shells):
        row = []
        values = panels.columns({k: f[i] for k, f in fields.items()})
        for panel, (field, cmap, norm) in zip(grid[i], values, strict=True):
            row.append(
                panel.pcolormesh(x, y, centred(field), cmap=cmap, norm=norm, rasterized=True)
            )
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(color="#9aa1ab", linewidth=0.6)
        grid[i, 0].text(
            -0.06, 0.5, shell, rotation=90, ha="center", va="center", fontsize=9, color=_INK,
            transform=grid[i, 0].transAxes,
        )  # fmt: skip
        meshes.append(tuple(row))
    for panel, name in zip(grid[0], panels.titles, strict=True):
        panel.set_title(name, fontsize=10, color=_INK)
    panels.bars(figure, grid)
    figure.suptitle(f"{variable}, {title}", fontsize=11, color=_INK, fontweight="bold")
    return figure, meshes


def section(
    fields: Mapping[str, Array],
    variable: str,
    unit: str,
    axes: tuple[Array, Array],
    title: str,
) -> Figure:
    """Latitude and depth along one meridian, as a slice of the globe; dashed: 660 km depth.

    Args:
        fields: by kind, (D, H).
        variable: its name.
        unit: its unit.
        axes: radii (D,) in km, latitudes (H,) in degrees.
        title: put above all.
    """
    panels = Panels(fields, variable, unit)
    count = len(panels.titles)
    r, phi = _edges(axes[0], 0.0), _edges(axes[1], None)
    x, y = r[:, None] * np.cos(phi), r[:, None] * np.sin(phi)
    margin = 0.02 * x.max()
    limits = (x.min() - margin, 1.2 * x.max()), (y.min() - 4 * margin, y.max() + 4 * margin)
    width, height = (high - low for low, high in limits)  # with room for the latitudes
    size = (2.3 * count, 2.2 * height / width + 1.1)
    figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    grid = figure.subplots(1, count, squeeze=False)
    for panel, (field, cmap, norm), name in zip(
        grid[0], panels.columns(fields), panels.titles, strict=True
    ):
        panel.pcolormesh(x, y, field, cmap=cmap, norm=norm, rasterized=True)
        panel.set(aspect="equal", xlim=limits[0], ylim=limits[1])
        panel.axis("off")
        panel.set_title(name, fontsize=10, color=_INK, pad=4)
        _frame(panel, r, phi, has_transition=is_earth(axes[0].tolist()))
    panels.bars(figure, grid)
    note = f" (dashed: {TRANSITION_KM:.0f} km deep)" if is_earth(axes[0].tolist()) else ""
    figure.suptitle(f"{variable}, {title}{note}", fontsize=11, color=_INK, fontweight="bold")
    return figure


def _frame(panel: Axes, r: Array, phi: Array, *, has_transition: bool) -> None:
    """Outline of a section, some latitudes, and the transition at 660 km depth of the Earth."""
    low, high = phi.min(), phi.max()
    around = np.linspace(low, high, 181)
    outline: dict[str, Any] = {"color": "#9aa1ab", "linewidth": 0.7}
    for radius in (r.min(), r.max()):
        panel.plot(radius * np.cos(around), radius * np.sin(around), **outline)
    for end in (low, high):
        ends = np.array([r.min(), r.max()])
        panel.plot(ends * np.cos(end), ends * np.sin(end), **outline)
    if has_transition:
        radius = EARTH_RADIUS_KM - TRANSITION_KM
        dashed: dict[str, Any] = {"color": "#3f4650", "linewidth": 0.8, "linestyle": (0, (4, 3))}
        panel.plot(radius * np.cos(around), radius * np.sin(around), **dashed)
    for degrees in (-60, -30, 0, 30, 60):
        angle = np.deg2rad(degrees)
        if low <= angle <= high:
            side = "N" if degrees > 0 else "S" if degrees else ""
            panel.text(
                1.03 * r.max() * np.cos(angle), 1.03 * r.max() * np.sin(angle),
                f"{abs(degrees)}°{side}", fontsize=7.5, color=_FAINT, va="center",
            )  # fmt: skip


def spectra(page: Mapping[str, Any]) -> Figure:
    """Power by degree, mean over shells and time steps, with the range of the time steps."""
    variables, steps = page["variables"], page["steps"]
    k = np.array(page["k"])
    figure, grid = _columns(variables, 2, [2.2, 1.0])
    for c, variable in enumerate(variables):
        curves = {
            kind: np.array([step["spectrum"][kind][variable] for step in steps], float)
            for kind in steps[0]["spectrum"]
        }
        for kind, powers in curves.items():
            _band(grid[0, c], k, powers, kind)
            if kind != "truth":
                with np.errstate(divide="ignore", invalid="ignore"):
                    _band(grid[1, c], k, powers / curves["truth"], kind)
        grid[1, c].axhline(1.0, color=COLORS["truth"], linewidth=1.0, linestyle=(0, (4, 3)))
        grid[0, c].set_title(variable, fontsize=10, color=_INK, fontweight="bold")
        positive = curves["truth"][curves["truth"] > 0]
        if positive.size:  # a constant variable has no logarithm
            _logarithmic(grid[:, c], float(positive.min()))
    per = {"globe": "degree", "band": "wave number"}.get(page["geometry"], "mode")
    grid[0, 0].set_ylabel(f"power per {per}")
    grid[1, 0].set_ylabel("ratio to truth")
    figure.supxlabel(str(page["k_unit"]), fontsize=9, color=_FAINT)
    _legend(figure, grid[0, 0])
    return figure


def _logarithmic(panels: Array, least: float) -> None:
    """Scales of powers and, below, of their ratio to the truth's, of which `least` is the least."""
    for panel in panels:
        panel.set(xscale="log", yscale="log")
        panel.xaxis.set_major_formatter(LogFormatter())
    # Where the truth has no power left, only rounding noise is compared.
    panels[0].set_ylim(0.1 * least)
    low, high = panels[1].get_ylim()
    low, high = max(low, 1e-2), max(min(high, 1e1), 2.0)
    panels[1].set_ylim(low, high)
    steps = (1.0,) if high > 30 * low else (1.0, 2.0, 5.0)  # all that have room
    panels[1].yaxis.set_major_locator(LogLocator(subs=steps))
    panels[1].yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    panels[1].yaxis.set_minor_formatter(NullFormatter())


_PROFILES = (
    ("rmse", "RMSE / deviation of the shell"),
    ("correlation", "correlation with the truth"),
    ("shell_log_spectrum_error", "log-spectrum error, decades"),
)


def profiles(page: Mapping[str, Any], title: str = "") -> Figure:
    """RMSE as a share of the truth's deviation, correlation, and error of spectra over depth."""
    variables, steps = page["variables"], page["steps"]
    height, label = _heights(page)
    rows = [(key, text) for key, text in _PROFILES if steps[0].get(key)]
    figure, grid = _columns(variables, len(rows), [1.0] * len(rows), 2.5 * len(rows), sharey=True)
    for c, variable in enumerate(variables):
        deviation = _values(steps, "deviation", variable).mean(0)
        for row, (key, text) in zip(grid, rows, strict=True):
            for kind in steps[0][key]:
                values = _values(steps, key, kind, variable)
                if key == "rmse":
                    with np.errstate(divide="ignore", invalid="ignore"):
                        values = np.where(deviation > 0, values / deviation, np.nan)
                _band(row[c], height, values, kind, is_upright=True)
            row[c].set_xlabel(text, fontsize=8.5, color=_FAINT)
            row[c].xaxis.set_major_locator(MaxNLocator(4))
            if key != "correlation":
                row[c].set_xlim(left=0)
        grid[0, c].set_title(variable, fontsize=10, color=_INK, fontweight="bold")
    for row in grid:
        row[0].set_ylabel(label)
    if label.startswith("depth"):
        grid[0, 0].invert_yaxis()
    _legend(figure, grid[0, 0])
    if title:
        figure.supxlabel(title, fontsize=9, color=_FAINT)
    return figure


def flow(page: Mapping[str, Any]) -> Figure:
    """Root mean square of the divergence of the velocity, over depth, of each kind of field."""
    steps = page["steps"]
    height, label = _heights(page)
    figure, grid = _columns(["divergence of the velocity"], 1, [1.0], height=3.4)
    panel = grid[0, 0]
    for kind in steps[0]["shell_divergence"]:
        _band(panel, height, _values(steps, "shell_divergence", kind), kind, is_upright=True)
    panel.set_xlabel("RMS of div v, 1/s", fontsize=8.5, color=_FAINT)
    panel.set_ylabel(label)
    panel.set_xlim(left=0)
    panel.ticklabel_format(axis="x", useMathText=True)
    panel.xaxis.get_offset_text().set(fontsize=8, color=_FAINT)
    if label.startswith("depth"):
        panel.invert_yaxis()
    _legend(figure, panel)
    return figure


def _values(steps: Sequence[Mapping[str, Any]], *keys: str) -> Array:
    """Values over shells of all steps, (steps, shells); NaN where there is none."""
    rows = []
    for step in steps:
        found: Any = step
        for key in keys:
            found = found[key]
        rows.append(np.array(found, float))
    return np.stack(rows)


def _heights(page: Mapping[str, Any]) -> tuple[Array, str]:
    radii = page["radii"]
    count = len(next(iter(page["steps"][0]["deviation"].values())))
    places, label = heights(radii, count)
    return np.array(places), label


def calibration(page: Mapping[str, Any]) -> Figure:
    """Rank histograms of the truth among the members, mean over time steps."""
    variables, steps = page["variables"], page["steps"]
    figure, grid = _columns(variables, 1, [1.0], height=2.9)
    for panel, variable in zip(grid[0], variables, strict=True):
        shares = np.mean([step["rank_histogram"][variable] for step in steps], axis=0)
        known = [s for step in steps if (s := step["spread_over_error"][variable]) is not None]
        spread = float(np.mean(known)) if known else float("nan")
        ranks = np.arange(1, len(shares) + 1)
        panel.bar(ranks, shares, width=0.9, color=COLORS["generator"])
        panel.axhline(1 / len(shares), color=COLORS["truth"], linewidth=1, linestyle=(0, (4, 3)))
        panel.set_title(variable, fontsize=10, color=_INK, fontweight="bold", pad=16)
        panel.text(
            0.5, 1.02, f"spread / error {spread:.2g}", transform=panel.transAxes, ha="center",
            va="bottom", fontsize=8.5, color=_FAINT,
        )  # fmt: skip
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0, 0].set_ylabel("share of cells")
    figure.supxlabel(
        f"rank of the truth among {page['members']} members (dashed: calibrated)",
        fontsize=9, color=_FAINT,
    )  # fmt: skip
    return figure


def shell_titles(radii: Array | None, layers: Sequence[int]) -> list[str]:
    """Depth below the Earth's surface where radii are the Earth's, else the radius."""
    if radii is None:
        return [f"layer {i + 1}" for i in layers]
    if is_earth(radii.tolist()):
        return [f"{EARTH_RADIUS_KM - radii[i]:.0f} km deep" for i in layers]
    return [f"radius {radii[i]:.4g}" for i in layers]


def _columns(
    variables: Sequence[str],
    rows: int,
    ratios: Sequence[float],
    height: float = 5.0,
    sharey: bool = False,
) -> tuple[Figure, Any]:
    width = max(4.6, 2.9 * len(variables))
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")
    grid = figure.subplots(
        rows, len(variables), squeeze=False, height_ratios=list(ratios), sharey=sharey
    )
    for panel in grid.ravel():
        panel.grid(True, color="#e5e7eb", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set(color="#9aa1ab", linewidth=0.7)
        panel.tick_params(which="both", labelsize=8, color="#9aa1ab", labelcolor=_INK, width=0.6)
        panel.yaxis.label.set(fontsize=9, color=_FAINT)
    return figure, grid


def _band(panel: Axes, x: Array, rows: Array, kind: str, is_upright: bool = False) -> None:
    """The mean of some curves, and their range behind it."""
    mean, low, high = rows.mean(0), rows.min(0), rows.max(0)
    style: dict[str, Any] = {"color": COLORS[kind], "alpha": 0.18, "linewidth": 0}
    line: dict[str, Any] = {
        "color": COLORS[kind],
        "linewidth": 1.7,
        "label": _TITLES.get(kind, kind),
    }
    if is_upright:
        panel.fill_betweenx(x, low, high, **style)
        panel.plot(mean, x, **line)
    else:
        panel.fill_between(x, low, high, **style)
        panel.plot(x, mean, **line)


def _legend(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )


def _edges(centres: Array, period: float | None) -> Array:
    """Edges of cells: of longitude from -180 on, of latitude up to the poles, in radians.

    Args:
        centres: of the cells.
        period: 360 for longitude, None for latitude, 0 for what is no angle.
    """
    if period:
        return np.deg2rad(np.linspace(-180, 180, len(centres) + 1))
    middle = 0.5 * (centres[1:] + centres[:-1])
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    edges = np.concatenate(([first], middle, [last]))
    return edges if period == 0 else np.deg2rad(np.clip(edges, -90, 90))


def centred(field: Array) -> Array:
    """Longitudes from 0 on, turned so that 0 lies in the middle of the map."""
    return np.roll(field, field.shape[-1] // 2, axis=-1)
