"""`hpctrain sample scroll`: a rolled papyrus with ink, scanned, and its surface laid flat."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import hpctrain
from hpctrain.errors import ConfigError
from hpctrain.samples import folder
from hpctrain.samples.papyrus import (
    CONTRAST,
    CRACKED,
    CRACKS,
    DENSITY,
    FIBRES,
    RELIEF,
    ROUGHNESS,
    SOAKED,
    THICKNESS,
    Sheet,
    make_sheet,
    smooth_noise,
)
from hpctrain.samples.phantom import (
    BLUR,
    LAYERS,
    NOISE,
    OFFSET,
    RINGS,
    SCALE,
    SLAB,
    SURFACE,
    Scanner,
    flatten,
)
from hpctrain.samples.spiral import PITCH, Spiral, roll_up
from hpctrain.samples.volpkg import (
    FRAGMENT,
    PACKAGE,
    VOXEL_UM,
    SurfaceVolume,
    Volume,
    fragment_names,
    volume_names,
    write_labels,
)

INKS = ("carbon", "dense")

MOST = 40_000_000
"""Pixels of the surface: what varies over it is held in memory, some 40 bytes a pixel."""

DEPARTURES = (
    "the roll is an Archimedean spiral, oval and folded, whose wraps never touch, tear or stick "
    "together; real scrolls are crushed",
    "columns of the flattened surface are a voxel of arc apart on the spiral before it was "
    "squeezed, so up to some 10 % more or less in the scan",
    "the surface is sampled along normals within each slice; their part along the roll's axis, "
    "which is small, is left out",
    "it follows the spiral's own surface, not the papyrus: the sheet's relief of "
    f"{ROUGHNESS:g} voxels stands for the errors of a traced surface",
    "fibres are Gaussian noise, the same through each half of the sheet's thickness; there are no "
    "strips, holes or grains",
    "carbon ink differs from papyrus by a pattern of cracks and by its thickness alone; how much "
    "was chosen so that it can be learned",
    "noise is white, rings are the same in all slices; there is no reconstruction, no phase "
    "contrast, no beam hardening",
    "inklabels.png is where ink is, to the pixel; real labels were drawn by hand on an infrared "
    "picture that was laid over the scan",
    "ir.png has 8 bits and is computed from the same ink; letters are modern capitals",
)
"""What differs from scans of real scrolls."""


@dataclass(frozen=True)
class Setup:
    """Everything that the files depend on."""

    size: tuple[int, int]
    """Rows and columns of the flattened surface."""
    ink: str
    seed: int

    def __post_init__(self) -> None:
        rows, columns = self.size
        if rows < 128 or columns < 192 or rows * columns > MOST:
            raise ConfigError(
                f"sample scroll: size is {rows},{columns}; give at least 128 rows and 192 columns, "
                f"so that letters have room, and at most {MOST} pixels"
            )
        if self.ink not in INKS:
            raise ConfigError(f"sample scroll: ink is {self.ink!r}; choose from {', '.join(INKS)}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"sample scroll: seed is {self.seed}; give 0 to 2147483647")

    @property
    def volume(self) -> str:
        """The volume's number: in real packages the second it was made in, here the seed."""
        return f"{datetime(2000, 1, 1) + timedelta(seconds=self.seed):%Y%m%d%H%M%S}"

    def names(self) -> list[str]:
        """All files."""
        return [*volume_names(self.volume, self.size[0]), *fragment_names(LAYERS)]


def write_sample(
    out: Path,
    size: tuple[int, int] = (512, 2048),
    ink: str = "carbon",
    seed: int = 0,
    progress: folder.Progress = lambda line: None,
) -> list[Path]:
    """Write on papyrus, roll it up, scan it and lay its surface flat, with a data card.

    Nothing is computed where the same sample is already there, complete and unaltered.

    Args:
        out: folder, made if need be; gets a .volpkg with the scan and the flattened surface with
            its labels in train/1.
        size: rows and columns of the flattened surface; the roll has as many slices as rows.
        ink: carbon, which only changes the texture, or dense, which X-rays see.
        seed: of everything that is random.
        progress: is told a line at a time.

    Returns:
        All files.

    Raises:
        ConfigError: a parameter is out of bounds, or the folder holds something else.
    """
    setup = Setup((size[0], size[1]), ink, seed)

    def make(scratch: Path) -> list[str]:
        return _write_files(scratch, setup, progress)

    return folder.write(Path(out), setup.names(), _card_head(setup), make, progress)


def _write_files(scratch: Path, setup: Setup, progress: folder.Progress) -> list[str]:
    """Write all files; gives the card's lines about them."""
    sheet = make_sheet(setup.size, setup.ink == "dense", setup.seed)
    spiral = roll_up(*setup.size, setup.seed)
    scan = (setup.size[0], *spiral.shape)
    progress(
        f"a sheet of {_by(setup.size)} voxels with {setup.ink} ink, "
        f"{sheet.is_ink.mean():.0%} inked, rolled up into {_by(scan)}"
    )
    volume = Volume(scratch, setup.volume, scan)
    surface = SurfaceVolume(scratch, LAYERS, setup.size)
    _scan(Scanner(sheet, spiral, setup.seed), volume, surface, progress)
    volume.finish(f"54keV {VOXEL_UM}um synthetic")
    surface.close()
    write_labels(scratch, sheet.is_ink, sheet.is_sheet, infrared(sheet, setup.seed))
    return _measured(sheet, spiral)


def _scan(
    scanner: Scanner, volume: Volume, surface: SurfaceVolume, progress: folder.Progress
) -> None:
    """Scan and flatten slab by slab; two at a time, so that little is in memory."""
    rows = scanner.spiral.rows

    def one(start: int) -> int:
        slices = scanner.slab(start)
        volume.write(start, slices)
        for row, slice_ in enumerate(slices, start):
            surface.write(row, flatten(scanner.spiral, row, slice_))
        return start + len(slices)

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for number, done in enumerate(pool.map(one, range(0, rows, SLAB)), 1):
            if number % 4 == 0 or done == rows:
                progress(f"{done} of {rows} slices scanned and flattened")


def infrared(sheet: Sheet, seed: int) -> NDArray[np.uint8]:
    """A photograph in infrared light, in which carbon is black and burnt papyrus is not."""
    rng = np.random.default_rng([seed, 5])
    stains = 0.05 * smooth_noise(rng, sheet.shape, (30, 30))
    bright = np.where(sheet.is_ink, 0.22, 0.6 + 0.6 * (sheet.recto - DENSITY) + stains)
    bright = np.where(sheet.is_sheet, bright, 0.05)
    bright = gaussian_filter(bright, 0.8) + rng.normal(0, 0.01, sheet.shape)
    picture: NDArray[np.uint8] = np.clip(np.rint(255 * bright), 0, 255).astype(np.uint8)
    return picture


def _by(numbers: tuple[int, ...]) -> str:
    return " x ".join(map(str, numbers))


def _card_head(setup: Setup) -> str:
    """What follows from the parameters alone: it tells whether a folder holds this sample."""
    rows, columns = setup.size
    ink = {
        "carbon": f"cracks {CRACKED:g} voxels deep, standard deviation {CRACKS:g}, no contrast",
        "dense": f"a contrast of {CONTRAST:g} to a depth of {SOAKED:g} voxels",
    }[setup.ink]
    lines = [
        "# Scroll sample",
        "",
        "Synthetic: a phantom of a rolled papyrus, in the layout of the Vesuvius Challenge.",
        "",
        f"- generator: hpctrain {hpctrain.__version__}, `hpctrain sample scroll`",
        f"- size: {rows} rows along the roll, {columns} columns along the lines of writing",
        f"- ink: {setup.ink}: {ink}, {RELIEF:g} voxels thick, on the recto, which faces inwards",
        f"- seed: {setup.seed}",
        f"- voxel: {VOXEL_UM:g} um by name; sheet {THICKNESS:g} voxels, a wrap each {PITCH:g}",
        f"- density: air 0, papyrus {DENSITY:g}, its fibres {FIBRES:g}; point spread {BLUR:g} "
        f"voxels, noise {NOISE:g}, rings {RINGS:g} (standard deviations)",
        f"- grey values: {OFFSET:g} + {SCALE:g} density, uint16",
        "",
        "## Files",
        "",
        f"- {PACKAGE}/volumes/{setup.volume}/00000.tif ...: horizontal slices (y, x), uint16; "
        "meta.json",
        f"- {FRAGMENT}/surface_volume/00.tif ... {LAYERS - 1}.tif: layers (row, column), uint16, "
        f"one voxel apart; {SURFACE} follows the recto, later ones lie above; row i is of slice i",
        f"- {FRAGMENT}/inklabels.png: 255 where ink is; inklabels_rle.csv: the same in runs",
        f"- {FRAGMENT}/mask.png: 255 where papyrus is; ir.png: infrared, dark where ink is",
        "",
        "## Known departures from scans of real scrolls",
        "",
        *(f"- {departure}" for departure in DEPARTURES),
    ]
    return "\n".join(lines) + "\n"


def _measured(sheet: Sheet, spiral: Spiral) -> list[str]:
    ny, nx = spiral.shape
    return [
        "## Measured",
        "",
        f"- slices: {spiral.rows}, each {ny} x {nx}; the roll's axis at y {spiral.axis[0]:.1f}, "
        f"x {spiral.axis[1]:.1f}",
        f"- papyrus: {sheet.is_sheet.mean():.1%} of the surface; ink: {sheet.is_ink.mean():.1%}",
        "- written on it:",
        "",
        "```",
        *sheet.lines,
        "```",
        "",
    ]
