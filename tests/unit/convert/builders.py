"""Sources in the layouts that people have, and conversions of them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import tifffile
from PIL import Image

from hpctrain.convert.engine import Result, convert
from hpctrain.convert.options import Options
from hpctrain.index.digests import sha256_of
from hpctrain.index.store import save_index
from hpctrain.index.table import FACETS, Columns, Index, Row


class Quiet:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int, int]] = []
        self.bytes = 0

    def begin(self, phase: str, total: int, done: int) -> None:
        self.phases.append((phase, total, done))

    def advance(self, num_bytes: int) -> None:
        self.bytes += num_bytes


def run(sources, to: str, out: Path, **options) -> Result:
    """Convert with two threads and little memory, so that there is more than one block."""
    paths = tuple(sources) if isinstance(sources, list | tuple) else (sources,)
    options = {"workers": 2, "memory_mb": 1} | options
    return convert(Options(paths, to, out, **options), Quiet())


def tree(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def volume(shape=(7, 50, 33), dtype=np.uint16, seed=0) -> np.ndarray:
    """Smooth enough to be packed, with every cell another number than its neighbours."""
    steps = (900, 300, 7, 3)[-len(shape) :]
    slopes = sum(step * index for step, index in zip(steps, np.indices(shape), strict=True))
    return (1000 + slopes + np.random.default_rng(seed).integers(0, 50, shape)).astype(dtype)


def write_layers(folder: Path, values: np.ndarray, **options) -> Path:
    """One TIFF a layer: 00.tif, 01.tif, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, layer in enumerate(values):
        tifffile.imwrite(folder / f"{number:02d}.tif", layer, **options)
    return folder


def write_fragment(folder: Path, values: np.ndarray, top: int = 255, **options) -> Path:
    """A fragment with labels of 0 and `top`, and a mask."""
    write_layers(folder / "surface_volume", values, **options)
    labels = (values[3] % 3 == 0).astype(np.uint8) * top
    Image.fromarray(labels).save(folder / "inklabels.png")
    Image.fromarray(values[3] > 1000).save(folder / "mask.png")
    return folder


def write_cosmoflow(path: Path, shape=(8, 6, 4), redshifts=(0.0, 0.5, 1.5, 3.0), **options) -> Path:
    """Counts (x, y, z, redshift), int16."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as f:
        counts = rng.poisson(1.0, (*shape, len(redshifts))).astype(np.int16)
        f.create_dataset("full", data=counts, **options)
        f["redshifts"] = np.array(redshifts, np.float32)
        f["namePar"] = np.array([b"Omega_m", b"sigma_8"])
        f["physPar"] = np.array([0.15, 0.5])
        f.attrs["universe_tag"] = np.bytes_(b"box-1")
    return path


def write_index(place: Path, root: Path, samples: dict[str, dict[str, str]], **cells) -> Path:
    """An index of {id: {modality: file below root}}; a file that is not there makes a sample bad.

    `cells` are further columns of all rows.
    """
    modalities = tuple(next(iter(samples.values())))
    columns = Columns(modalities)
    rows = []
    for name, files in samples.items():
        row = {"id": name, **cells}
        for modality, file in files.items():
            path = root / file
            facts: tuple[object, ...] = ("", "", "")
            if path.is_file():
                facts = path.stat().st_size, sha256_of(path), path.stat().st_mtime_ns
            else:
                row |= {"status": "bad", "reason": "missing: lost"}
            keys = (f"{modality}{facet}" for facet in FACETS)
            row |= dict(zip(keys, (file, *map(str, facts)), strict=True))
        rows.append(Row.make(columns, **row))
    save_index(Index(root, tuple(rows), {}, columns), place)
    return place
