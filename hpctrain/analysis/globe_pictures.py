"""Draw what `hpctrain evaluate` has left in eval/: figures and animations of whole fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.analysis import figures, globe_curves, globe_figures
from hpctrain.analysis.animation import WITHOUT_FFMPEG, animate, find_ffmpeg, with_movie
from hpctrain.analysis.whole_files import NUMBERS, PICTURES, middle_of
from hpctrain.provenance import Stamp, embed


@dataclass(frozen=True)
class Drawn:
    """One picture."""

    title: str
    path: Path
    note: str = ""


def draw_whole(run_dir: Path, stamp: Stamp) -> list[Drawn]:
    """Draw all figures of an evaluation into eval/whole/; those that are new enough stay.

    Args:
        run_dir: with eval/whole.json and eval/whole.npz; without them nothing is drawn.
        stamp: what the files say of where they are from.

    Returns:
        The pictures in the order of the page.
    """
    source = run_dir / "eval" / PICTURES
    if not source.is_file() or not (run_dir / "eval" / NUMBERS).is_file():
        return []
    page = json.loads((run_dir / "eval" / NUMBERS).read_text())
    if not page["steps"]:
        return []
    folder = run_dir / "eval" / "whole"
    folder.mkdir(exist_ok=True)
    made = _Folder(folder, source.stat().st_mtime, stamp)
    made.figure("spectra", "Power spectra", lambda: globe_curves.spectra(page))
    made.figure("profiles", "Errors by depth", lambda: globe_curves.profiles(page))
    if page["steps"][0].get("shell_divergence"):
        made.figure("divergence", "Divergence of the velocity", lambda: globe_curves.flow(page))
    if page["members"] > 1:
        made.figure("calibration", "Calibration", lambda: globe_curves.calibration(page))
    if page["geometry"] in ("globe", "band"):
        with np.load(source) as arrays:
            _maps(made, page, arrays)
    return made.drawn


class _Folder:
    """Pictures in a folder, drawn where they are older than their numbers."""

    def __init__(self, path: Path, newer_than: float, stamp: Stamp) -> None:
        self.path, self.drawn = path, list[Drawn]()
        self._newer_than, self._stamp = newer_than, stamp

    def is_new(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_mtime >= self._newer_than

    def figure(self, name: str, title: str, draw: Any) -> None:
        path = self.path / f"{name.replace('/', '_').replace(' ', '_')}.png"
        if not self.is_new(path):
            figures.save(draw(), path, self._stamp)
        self.drawn.append(Drawn(title, path))

    def animation(self, name: str, title: str, write: Any) -> None:
        path = self.path / f"{name.replace('/', '_').replace(' ', '_')}.gif"
        movie = path.with_suffix(".mp4")
        note = with_movie(movie) if self.is_new(movie) else WITHOUT_FFMPEG
        if not self.is_new(path) or (find_ffmpeg() and not self.is_new(movie)):
            files, note = write(path)
            for file in files:
                embed(file, self._stamp)
        self.drawn.append(Drawn(title, path, note))


def _maps(made: _Folder, page: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    axes = arrays["latitudes"], arrays["longitudes"]
    radii = arrays.get("radii")
    layers = arrays["layers"].tolist()
    titles = globe_figures.shell_titles(radii, layers)
    names = [step["name"] for step in page["steps"]]
    shells, sections = (_of(arrays, part) for part in ("shells", "section"))
    for c, variable in enumerate(page["variables"]):
        unit = page["units"][c] if page["units"] else ""
        made.figure(
            f"maps_{variable}",
            f"Shells of {variable}",
            lambda v=variable, u=unit, c=c: globe_figures.shell_maps(
                {kind: field[c] for kind, field in shells.items()}, v, u, axes, titles, names[-1]
            )[0],
        )
        if radii is not None and len(radii) > 1:
            made.figure(
                f"section_{variable}",
                f"Section of {variable} along one meridian",
                lambda v=variable, u=unit, c=c: globe_figures.section(
                    {kind: field[c] for kind, field in sections.items()},
                    v, u, (radii, axes[0]), names[-1],
                ),
            )  # fmt: skip
        frames = [names[i] for i in arrays["frames"].tolist()]
        if len(frames) > 1:
            shown = titles[layers.index(middle_of(layers))]
            made.animation(
                f"time_{variable}",
                f"{variable} over time, {shown}",
                lambda path, v=variable, u=unit, c=c, t=shown, f=frames: animate(
                    {kind: _frames(arrays, kind, c) for kind in shells}, v, u, axes, t, f, path
                ),
            )


def _of(arrays: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Arrays by kind."""
    prefix = f"{part}/"
    return {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}


def _frames(arrays: Mapping[str, Any], kind: str, channel: int) -> Any:
    """One variable over time, (frames, H, W)."""
    count = len(arrays["frames"])
    return np.stack([arrays[f"time/{kind}/{channel}/{i}"] for i in range(count)])
