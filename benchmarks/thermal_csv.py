"""Decoding the thermal CSV files of a camera against numpy's and pandas' parsers, in one run.

    python benchmarks/thermal_csv.py [--rounds N] [FILE...]

Without files: frames of 336 x 252 from the sky sample (sky, horizon, ground by day; sky at night),
written as the camera writes them. All sides get the bytes in memory and give degrees Celsius in
float64; `counts` are the sensor's, as a converter stores them. Rounds are interleaved and
medians compared; our results must be bit-equal to np.loadtxt's. pandas' parser may miss a last bit.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from hpctrain.formats.mobotix import decode_csv, to_counts
from hpctrain.samples.sky import write_sample


def by_loadtxt(data: bytes) -> np.ndarray:
    return np.loadtxt(io.BytesIO(data), skiprows=8, delimiter=";")


def counts_by_loadtxt(data: bytes) -> np.ndarray:
    return to_counts(by_loadtxt(data))


def by_pandas(data: bytes) -> np.ndarray:
    return pd.read_csv(io.BytesIO(data), skiprows=8, sep=";", header=None).to_numpy()


def ours(data: bytes) -> np.ndarray:
    return decode_csv(data, "file").celsius


def ours_counts(data: bytes) -> np.ndarray:
    return decode_csv(data, "file").counts


SIDES: dict[str, Callable[[bytes], np.ndarray]] = {
    "loadtxt": by_loadtxt,
    "pandas": by_pandas,
    "loadtxt counts": counts_by_loadtxt,
    "ours": ours,
    "our counts": ours_counts,
}


def sample_files() -> list[Path]:
    """One frame of each kind."""
    folder = Path(tempfile.gettempdir()) / "thermal_csv"
    write_sample(folder, scenes=16, nodes=2, size=(96, 32), bad=0)
    files = sorted((folder / "train/thermal").glob("*.csv"))
    wanted = ("position1.", "position2.", "position24.")
    return [next(f for f in files if word in f.name) for word in wanted] + files[-1:]


def main() -> int:
    """Print the table; exit 1 when a result differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, numpy {np.__version__}, pandas {pd.__version__}; ms a file")
    print(f"{'shape':12}" + "".join(f"{name:>15}" for name in SIDES) + "   ratios")
    equal = True
    for path in options.files or sample_files():
        data = path.read_bytes()
        right = by_loadtxt(data)
        equal &= ours(data).tobytes() == right.tobytes()
        equal &= np.array_equal(ours_counts(data), counts_by_loadtxt(data))
        times: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(options.rounds):
            for name, side in SIDES.items():
                start = time.perf_counter()
                side(data)
                times[name].append(1e3 * (time.perf_counter() - start))
        medians = {name: statistics.median(values) for name, values in times.items()}
        cells = "".join(f"{value:15.2f}" for value in medians.values())
        ratio = medians["loadtxt"] / medians["ours"]
        ratio_counts = medians["loadtxt counts"] / medians["our counts"]
        print(
            f"{'x'.join(map(str, right.shape)):12}{cells}{ratio:6.2f} {ratio_counts:6.2f}",
            flush=True,
        )
    print("results are bit-equal" if equal else "RESULTS DIFFER")
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
