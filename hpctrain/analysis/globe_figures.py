"""Maps of shells and sections of whole fields on a globe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hpctrain.analysis.depth import EARTH_RADIUS_KM, is_earth
from hpctrain.analysis.figures import color_range, is_diverging, readable_unit

Array = NDArray[Any]
TRANSITION_KM = 660.0
INK, FAINT = "#1b1b1b", "#6b7280"
TITLES = {"generator": "generated"}


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
        return [*(TITLES.get(k, k) for k in self.kinds), "generated − truth"]

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
            bar.set_label(text.strip(", "), fontsize=9, color=INK)
            bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=FAINT, length=2.5)
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
            -0.06, 0.5, shell, rotation=90, ha="center", va="center", fontsize=9, color=INK,
            transform=grid[i, 0].transAxes,
        )  # fmt: skip
        meshes.append(tuple(row))
    for panel, name in zip(grid[0], panels.titles, strict=True):
        panel.set_title(name, fontsize=10, color=INK)
    panels.bars(figure, grid)
    figure.suptitle(f"{variable}, {title}", fontsize=11, color=INK, fontweight="bold")
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
        panel.set_title(name, fontsize=10, color=INK, pad=4)
        _frame(panel, r, phi, has_transition=is_earth(axes[0].tolist()))
    panels.bars(figure, grid)
    note = f" (dashed: {TRANSITION_KM:.0f} km deep)" if is_earth(axes[0].tolist()) else ""
    figure.suptitle(f"{variable}, {title}{note}", fontsize=11, color=INK, fontweight="bold")
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
                f"{abs(degrees)}°{side}", fontsize=7.5, color=FAINT, va="center",
            )  # fmt: skip


def shell_titles(radii: Array | None, layers: Sequence[int]) -> list[str]:
    """Depth below the Earth's surface where radii are the Earth's, else the radius."""
    if radii is None:
        return [f"layer {i + 1}" for i in layers]
    if is_earth(radii.tolist()):
        return [f"{EARTH_RADIUS_KM - radii[i]:.0f} km deep" for i in layers]
    return [f"radius {radii[i]:.4g}" for i in layers]


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
