"""Samples/s of the mantle GAN's slabs: EarthGAN's way of whole files against ours of slices.

    python benchmarks/slab_reading.py [--folder DIR] [--files 4] [--rounds 5] [--coarse 24 14 27]

Time steps of 192 x 112 x 216 cells (r, lat, lon) and an input 8 times coarser, four variables: 74
MB and 0.15 MB. A sample is a slab from pole to pole, 5 of 27 input columns at any longitude, with
a halo of 3 cells that repeats shells, mirrors latitudes and goes round in longitude. The published
way loads both npy files whole, rolls them so that the slab comes first, pads, cuts, and takes the
variables that are asked for at the end. Ours copies slices of memory maps: of the same npy files,
and of netCDF-3 files with the same numbers, of which variables can be chosen. Single thread, files
in the page cache, no normalisation and no turning of velocities. All samples of one file are
compared first, bit by bit; rounds are interleaved and medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hpctrain.config.data import Fields
from hpctrain.data import FieldDataset
from hpctrain.formats.netcdf3 import Variable, write
from hpctrain.index import build_fields_index

FACTOR, HALO, COLUMNS = 8, 3, 5
NAMES = ("temperature", "vx", "vy", "vz")
Reader = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Number of a sample to input and target, (C, r, lat, lon)."""


def make_files(folder: Path, count: int, coarse: tuple[int, int, int]) -> None:
    """Random numbers, unless the files are there: truth and input, as npy and as netCDF-3."""
    rng = np.random.default_rng(0)
    for i in range(count):
        for part, factor in (("truth", FACTOR), ("input", 1)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            path = folder / part / f"{i:03}.npy"
            shape = tuple(factor * n for n in coarse)
            if path.exists() and np.load(path, mmap_mode="r").shape[1:] == shape:
                continue
            values = rng.standard_normal((len(NAMES), *shape), np.float32)
            np.save(path, values)
            axes = ("r", "lat", "lon")
            write(
                path.with_suffix(".nc"),
                dict(zip(axes, shape, strict=True)),
                [Variable(name, axes, v) for name, v in zip(NAMES, values, strict=True)],
                {},
            )


def whole_files(folder: Path, coarse: tuple[int, int, int], variables: int) -> Reader:
    """The published way; sample i is column i % 27 of file i // 27."""
    shells = torch.arange(-HALO, coarse[0] + HALO).clamp(0, coarse[0] - 1)

    def read(i: int) -> tuple[np.ndarray, np.ndarray]:
        file, column = divmod(i, coarse[2])
        x = torch.tensor(np.load(folder / "input" / f"{file:03}.npy"))
        x = torch.roll(x, HALO - column, 3)[..., : COLUMNS + 2 * HALO]
        x = torch.cat((x[:, :, :HALO].flip(2), x, x[:, :, -HALO:].flip(2)), 2)[:, shells]
        y = torch.tensor(np.load(folder / "truth" / f"{file:03}.npy"))
        y = torch.roll(y, -FACTOR * column, 3)[..., : FACTOR * COLUMNS]
        return _copied(x[:variables]), _copied(y[:variables])

    return read


def _copied(x: Tensor) -> np.ndarray:
    return x.contiguous().numpy()


def slices(folder: Path, coarse: tuple[int, int, int], variables: int, suffix: str) -> Reader:
    """Our data set on npy or netCDF files."""
    fields = Fields(
        kind="fields",
        root=str(folder),
        targets=[f"truth/*.{suffix}"],
        inputs=[f"input/*.{suffix}"],
        variables=[] if suffix == "npy" else list(NAMES[:variables]),
        validation_steps=1,
        crop=(*coarse[:2], COLUMNS),
        stride=(*coarse[:2], 1),
        normalization="none",
        augment={"roll_longitude": False},
    )
    index = build_fields_index(fields, FACTOR, folder)
    data = FieldDataset(fields, index, "train", FACTOR, HALO, seed=0)
    assert data.samples_per_file == coarse[2]

    def read(i: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.empty(data.input_shape, np.float32), np.empty(data.target_shape, np.float32)
        data.read_into(i, 0, x, y)
        return x, y

    return read


def check_equal(plain: Reader, ours: Reader, count: int) -> None:
    """Both sides must give the same numbers, or the comparison means nothing."""
    for i in range(count):
        for a, b in zip(plain(i), ours(i), strict=True):
            if not np.array_equal(a, b):
                raise SystemExit(f"sample {i} differs between the two ways")


def rate(read: Reader, samples: list[int], seconds: float) -> float:
    """Samples/s over at least so many seconds and three samples."""
    begin, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - begin < seconds:
        read(samples[count % len(samples)])
        count += 1
    return count / (time.perf_counter() - begin)


def main() -> None:
    """Print a table of samples/s and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "slabs")
    parser.add_argument("--files", type=int, default=4, help="one more than are read")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--coarse", type=int, nargs=3, default=(24, 14, 27))
    given = parser.parse_args()
    torch.set_num_threads(1)
    coarse = tuple(given.coarse)
    make_files(given.folder, given.files, coarse)
    count = coarse[2]
    samples = np.random.default_rng(1).permutation(count * (given.files - 1)).tolist()
    print(f"{'variables':10}{'files of ours':15}{'whole/s':>9}{'ours/s':>9}{'ratio':>8}{'MB/s':>8}")
    for variables, suffix in ((1, "nc"), (4, "nc"), (4, "npy")):
        plain = whole_files(given.folder, coarse, variables)
        ours = slices(given.folder, coarse, variables, suffix)
        check_equal(plain, ours, count)
        rates = [(rate(plain, samples, 0.7), rate(ours, samples, 0.7)) for _ in range(given.rounds)]
        slow, fast = (statistics.median(side) for side in zip(*rates, strict=True))
        megabytes = sum(part.nbytes for part in ours(0)) / 1e6
        kind = {"nc": "netCDF-3", "npy": "npy"}[suffix]
        print(f"{variables:<10}{kind:15}{slow:9.2f}{fast:9.1f}{fast / slow:8.1f}"
              f"{fast * megabytes:8.0f}", flush=True)  # fmt: skip
    print("bit by bit equal; aim: at least 20 times (one variable), 5 times (four)")


if __name__ == "__main__":
    main()
