"""Thermal tables and pictures of pairs through the verified store, against decoding them again.

    python benchmarks/pair_cache.py [--rounds N] [--pictures W,H]

The sky sample's frames, 336 x 252, as the camera writes them. `loadtxt` is what a training that
reads its tables by numpy does: np.loadtxt(path, skiprows=8, delimiter=';'). `first` opens the store
anew, so that each frame is compared with its check sum; `again` is each later reading. Both give
degrees Celsius in float32. Optical halves are cut, and resized to 252 x 336. Processor seconds of
one thread; rounds are interleaved, medians compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hpctrain.config.pair_data import Pairs
from hpctrain.config.read_rule import read_rule
from hpctrain.data.pairs.planes import Planes
from hpctrain.index.build import build_index
from hpctrain.index.table import Index
from hpctrain.samples.sky import write_sample

SIZE = (252, 336)
FRAMES = 16


def block() -> Pairs:
    modality = {"size": SIZE, "crop": (224, 224)}
    modalities = {
        "rgb": {**modality, "channels": "rgb"},
        "ir": {**modality, "channels": "temperature"},
    }
    return Pairs.model_validate({"kind": "pairs", "index": "none", "modalities": modalities})


def sample_index(folder: Path, pictures: tuple[int, int]) -> Index:
    write_sample(folder, scenes=FRAMES, nodes=2, size=pictures, bad=0)
    built = build_index(folder / "train", read_rule("sage", {"pair": "listed"})).made
    assert built is not None
    return built


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


class Sides:
    """The ways to read all frames once."""

    def __init__(self, index: Index, folder: Path) -> None:
        self.index, self.folder, self.block = index, folder, block()
        self.open = Planes(self.block, index, folder)
        self.plain = Planes(self.block, index, None)

    def loadtxt(self) -> list[np.ndarray]:
        """As a plain training reads tables."""
        paths = [self.index.root / row["thermal"] for row in self.index.rows]
        return [np.loadtxt(path, skiprows=8, delimiter=";") for path in paths]

    def read(self, planes: Planes, kind: str) -> list[np.ndarray]:
        """All planes of a kind."""
        return [planes.read(row, kind, SIZE) for row in self.index.rows]

    def thermal(self) -> dict[str, Callable[[], object]]:
        """Ways to temperatures."""
        return {
            "loadtxt": self.loadtxt,
            "decode": lambda: self.read(self.plain, "thermal"),
            "first": lambda: self.read(Planes(self.block, self.index, self.folder), "thermal"),
            "again": lambda: self.read(self.open, "thermal"),
        }

    def optical(self) -> dict[str, Callable[[], object]]:
        """Ways to colours."""
        return {
            "decode": lambda: self.read(self.plain, "rgb"),
            "first": lambda: self.read(Planes(self.block, self.index, self.folder), "rgb"),
            "again": lambda: self.read(self.open, "rgb"),
        }


def compare(name: str, sides: dict[str, Callable[[], object]], rounds: int) -> None:
    """Print milliseconds a frame, and each side's ratio to the first."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            times[side].append(1e3 * seconds(work) / FRAMES)
    medians = {side: statistics.median(found) for side, found in times.items()}
    rival, *others = sides
    print(f"{name}: {rival} {medians[rival]:.2f} ms")
    for side in others:
        print(f"    {side:8} {medians[side]:8.3f} ms {medians[rival] / medians[side]:8.1f} times")


def main() -> int:
    """Print both tables; exit 1 when a value differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pictures", default="1200,400", help="columns, rows of both halves")
    options = parser.parse_args()
    torch.set_num_threads(1)
    width, height = (int(n) for n in options.pictures.split(","))
    with tempfile.TemporaryDirectory() as scratch:
        index = sample_index(Path(scratch) / "sky", (width, height))
        sides = Sides(index, Path(scratch) / "store")
        right = [values.astype(np.float32) for values in sides.loadtxt()]
        found = [sides.read(sides.open, "thermal") for _ in range(2)][1]
        off = max(float(abs(a[..., 0] - b).max()) for a, b in zip(found, right, strict=True))
        sides.read(sides.open, "rgb")
        compare("thermal table", sides.thermal(), options.rounds)
        compare(f"optical half of {width} x {height}", sides.optical(), options.rounds)
    print(f"largest difference to np.loadtxt: {off:.1e} degrees")
    return int(off > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
