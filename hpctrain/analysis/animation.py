"""One shell over time as an animation: a GIF, and an MP4 beside it where ffmpeg is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from hpctrain.analysis.globe_figures import Panels, centred, shell_maps

Array = NDArray[Any]
FRAMES_PER_S = 3
_DPI = 90


def animate(
    fields: Mapping[str, Array],
    variable: str,
    unit: str,
    axes: tuple[Array, Array],
    shell: str,
    names: Sequence[str],
    path: Path,
) -> list[Path]:
    """Write maps of one shell, one frame a time step; all frames share their colour scales.

    Args:
        fields: by kind, (steps, H, W).
        variable: its name.
        unit: its unit.
        axes: latitudes and longitudes in degrees.
        shell: its title.
        names: of the time steps.
        path: the GIF; an MP4 gets its name.

    Returns:
        The files that were written.
    """
    panels = Panels(fields, variable, unit)
    writers: list[tuple[AbstractMovieWriter, Path]] = [(PillowWriter(fps=FRAMES_PER_S), path)]
    if FFMpegWriter.isAvailable():
        writers.append((FFMpegWriter(fps=FRAMES_PER_S), path.with_suffix(".mp4")))
    for writer, target in writers:
        part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
        try:
            about = variable, unit, axes, shell
            _write(writer, part, panels, fields, about, names)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return [target for _, target in writers]


def _write(
    writer: AbstractMovieWriter,
    path: Path,
    panels: Panels,
    fields: Mapping[str, Array],
    about: tuple[str, str, tuple[Array, Array], str],
    names: Sequence[str],
) -> None:
    variable, unit, axes, shell = about
    for step, name in enumerate(names):
        one = {kind: field[step : step + 1] for kind, field in fields.items()}
        if step == 0:
            figure, (meshes,) = shell_maps(one, variable, unit, axes, [shell], "", panels)
            FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
            figure.set_layout_engine("none")  # panels must not move between frames
            writer.setup(figure, str(path), _DPI)
        values = panels.columns({kind: field[0] for kind, field in one.items()})
        for mesh, (field, _, _) in zip(meshes, values, strict=True):
            mesh.set_array(centred(field))
        figure.suptitle(f"{variable}, {name}", fontsize=11, fontweight="bold")
        writer.grab_frame()
    writer.finish()
