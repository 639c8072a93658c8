"""One shell over time as an animation: a GIF, and an MP4 beside it where there is an ffmpeg."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import matplotlib
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from hpctrain.analysis.globe_figures import Panels, centred, shell_maps

Array = NDArray[Any]
FRAMES_PER_S = 3
WITHOUT_FFMPEG = "MP4 needs ffmpeg: load its module, or pip install 'hpctrain[movie]'"
_DPI = 90


def find_ffmpeg() -> str | None:
    """The program: matplotlib's setting, by default what PATH has, else that of imageio-ffmpeg."""
    found = shutil.which(str(matplotlib.rcParams["animation.ffmpeg_path"]))
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe  # brings a program of its own

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # the latter: there is none for this machine
        return None


class _Mp4Writer(FFMpegWriter):
    @classmethod
    def bin_path(cls) -> str:
        return find_ffmpeg() or "ffmpeg"


def animate(
    fields: Mapping[str, Array],
    variable: str,
    unit: str,
    axes: tuple[Array, Array],
    shell: str,
    names: Sequence[str],
    path: Path,
) -> tuple[list[Path], str]:
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
        The files that were written, and what is to be said of the MP4.
    """
    panels = Panels(fields, variable, unit)

    def write(writer: AbstractMovieWriter, target: Path) -> None:
        part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
        try:
            about = variable, unit, axes, shell
            _write(writer, part, panels, fields, about, names)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    write(PillowWriter(fps=FRAMES_PER_S), path)
    if not find_ffmpeg():
        return [path], WITHOUT_FFMPEG
    movie = path.with_suffix(".mp4")
    try:
        write(_Mp4Writer(fps=FRAMES_PER_S, codec="h264"), movie)
    except (OSError, CalledProcessError) as e:  # the first where it left before it had all frames
        said = getattr(e, "stderr", None) or str(e)
        reason = said.strip().splitlines()[-1]
        return [path], f"no MP4: {find_ffmpeg()} failed ({reason})"
    return [path, movie], with_movie(movie)


def with_movie(movie: Path) -> str:
    """What is said of an MP4 that is there."""
    return f"as a film: {movie.name} beside it"


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
