"""Samples/s of the field loader against plain memory-mapped slicing of the same files.

    python benchmarks/fields_io.py [--folder DIR] [--only d1|d2] [--rounds N]

Fields: periodic power-law noise, P(k) ~ k^-3, 4 channels, float32; the low-resolution twin is the
block mean. d1: 64 files of 16^3 and 32^3 cells, 37 MB; d2: 8 files of 64^3 and 128^3, 302 MB.
Samples: d1 8 + 2 x 2 coarse cells to 16 fine, d2 16 + 2 x 2 to 32; batches of 4.

Plain slicing is what a careful user would write: `torch.utils.data.Dataset` over memory maps with
basic slices, wrapped by np.concatenate only where the halo leaves the box; 0 workers a loop that
stacks, 1 and 2 workers a DataLoader with persistent forked processes. Both sides see the same
samples in the same order; rounds are interleaved and medians are compared, start-up left out.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hpctrain.config.data import Fields
from hpctrain.data import BatchLoader, FieldDataset, GlobalSampler
from hpctrain.data.sampler import stream
from hpctrain.index import build_fields_index

SCALE, HALO, BATCH, CHANNELS, SEED = 2, 2, 4, 4, 0


@dataclass(frozen=True)
class Case:
    """One set of fields."""

    name: str
    files: int
    coarse: int
    crop: int
    repeats: int
    """Epochs a round, so that a round takes some tenths of a second."""


CASES = (Case("d1", 64, 16, 8, 4), Case("d2", 8, 64, 16, 2))


def make_fields(folder: Path, case: Case) -> None:
    """Write the files of one case, unless they are there."""
    size = case.coarse * SCALE
    for part in ("hr", "lr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    k = np.fft.fftfreq(size) * size
    half = np.fft.rfftfreq(size) * size
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + half[None, None, :] ** 2)
    amplitude = np.where(radius > 0, np.maximum(radius, 1) ** -1.5, 0)
    for i in range(case.files):
        noise = rng.standard_normal((CHANNELS, size, size, size))
        fine = np.fft.irfftn(np.fft.rfftn(noise, axes=(1, 2, 3)) * amplitude, axes=(1, 2, 3))
        fine = (fine / fine.std(axis=(1, 2, 3), keepdims=True)).astype(np.float32)
        shape = (CHANNELS, case.coarse, SCALE, case.coarse, SCALE, case.coarse, SCALE)
        coarse = fine.reshape(shape).mean((2, 4, 6), dtype=np.float32)
        np.save(folder / f"hr/f{i:04d}.npy", fine)
        np.save(folder / f"lr/f{i:04d}.npy", coarse)


def halo_slices(start: int, size: int, total: int) -> list[slice]:
    """Basic slices of [start - HALO, start + size + HALO) in a periodic axis."""
    low, high = start - HALO, start + size + HALO
    cuts = [(low % total, total), (0, high)] if low < 0 else [(low, min(high, total))]
    if high > total:
        cuts.append((0, high - total))
    return [slice(a, b) for a, b in cuts]


class PlainSlices(Dataset):
    """Memory maps, basic slices, no library of ours."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.pairs = [
            (np.load(folder / f"lr/{p.name}", mmap_mode="r"), np.load(p, mmap_mode="r"))
            for p in sorted((folder / "hr").glob("*.npy"))
        ]
        self.crop, self.total = case.crop, case.coarse
        steps = range(0, case.coarse, case.crop)
        self.anchors = list(itertools.product(steps, steps, steps))

    def __len__(self) -> int:
        return len(self.pairs) * len(self.anchors)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.pairs[i // len(self.anchors)]
        anchor = self.anchors[i % len(self.anchors)]
        x = low
        for axis, start in enumerate(anchor, 1):
            lead = (slice(None),) * axis
            parts = [x[(*lead, s)] for s in halo_slices(start, self.crop, self.total)]
            x = parts[0] if len(parts) == 1 else np.concatenate(parts, axis)
        where = tuple(slice(s * SCALE, (s + self.crop) * SCALE) for s in anchor)
        return np.ascontiguousarray(x), np.ascontiguousarray(high[(slice(None), *where)])


def collate(items: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack samples to a batch."""
    x, y = zip(*items, strict=True)
    return torch.from_numpy(np.stack(x)), torch.from_numpy(np.stack(y))


class Order:
    """The sampler of a DataLoader: batches of one epoch, in our order."""

    def __init__(self, sampler: GlobalSampler) -> None:
        self.sampler, self.epoch = sampler, 0

    def __len__(self) -> int:
        return self.sampler.batches_per_epoch

    def __iter__(self):
        steps = range(self.sampler.batches_per_epoch)
        yield from (self.sampler.batch(self.epoch, step) for step in steps)


def plain_round(data: PlainSlices, order: Order, loader: DataLoader | None) -> Callable[[int], int]:
    """One epoch of plain slicing; returns the number of samples."""

    def run(epoch: int) -> int:
        order.epoch = epoch
        batches = loader if loader else (collate([data[i] for i in ids]) for ids in order)
        return sum(len(x) for x, _ in batches)

    return run


def our_round(loader: BatchLoader, batches: int) -> Callable[[int], int]:
    """One epoch out of a continuous stream."""
    return lambda _: sum(len(next(loader).ids) for _ in range(batches))


def check_equal(plain: PlainSlices, ours: FieldDataset) -> None:
    """Both sides must give the same numbers, or the comparison means nothing."""
    x, y = np.empty(ours.input_shape, np.float32), np.empty(ours.target_shape, np.float32)
    for i in range(0, len(plain), max(1, len(plain) // 50)):
        ours.read_into(i, 0, x, y)
        expected = plain[i]
        if not (np.array_equal(x, expected[0]) and np.array_equal(y, expected[1])):
            raise SystemExit(f"sample {i} differs between the two loaders")


def measure(plain: PlainSlices, ours: FieldDataset, case: Case, workers: int, rounds: int):
    """Median samples/s of (ours, plain), rounds interleaved."""
    sampler = GlobalSampler(len(ours), BATCH, SEED)
    order = Order(sampler)
    fork = multiprocessing.get_context("fork")
    loader = None
    if workers:
        loader = DataLoader(
            plain,
            batch_sampler=order,
            num_workers=workers,
            persistent_workers=True,
            collate_fn=collate,
            multiprocessing_context=fork,
        )
    shares = stream(sampler, 0, 1, epochs=10**9)
    rates: tuple[list[float], list[float]] = ([], [])
    with BatchLoader(ours, shares, workers) as own:
        sides = (our_round(own, sampler.batches_per_epoch), plain_round(plain, order, loader))
        for number in range(rounds + 1):
            for rate, side in zip(rates, sides, strict=True):
                start = time.perf_counter()
                count = sum(side(number * case.repeats + k) for k in range(case.repeats))
                if number:  # round 0 warms the page cache and starts the workers
                    rate.append(count / (time.perf_counter() - start))
    return statistics.median(rates[0]), statistics.median(rates[1])


def open_case(folder: Path, case: Case) -> FieldDataset:
    """The data set of one case, written if it is not there."""
    if len(list((folder / "lr").glob("*.npy"))) < case.files:
        make_fields(folder, case)
    fields = Fields(
        kind="fields",
        root=str(folder),
        targets=["hr/*.npy"],
        inputs=["lr/*.npy"],
        validation_steps=1,
        geometry="box",
        crop=(case.crop,) * 3,
        normalization="none",
    )
    return FieldDataset(
        fields, build_fields_index(fields, SCALE, folder), "train", SCALE, HALO, SEED
    )


def run_case(folder: Path, case: Case, rounds: int) -> list[float]:
    """Measure one case; prints its lines and returns the ratios."""
    ours = open_case(folder, case)
    plain = PlainSlices(folder, case)
    plain.pairs = plain.pairs[: case.files - 1]
    check_equal(plain, ours)
    num_bytes = 4 * sum(int(np.prod(s)) for s in (ours.input_shape, ours.target_shape))
    ratios = []
    for workers in (0, 1, 2):
        fast, slow = measure(plain, ours, case, workers, rounds)
        ratios.append(fast / slow)
        print(
            f"{case.name:4} {num_bytes / 1e3:6.0f} kB {workers:7} {fast:12.0f} {slow:12.0f} "
            f"{fast * num_bytes / 1e6:9.0f} {ratios[-1]:7.2f}",
            flush=True,
        )
    return ratios


def main() -> int:
    """Print the table; exit 1 when a ratio is below 0.9."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fields_io")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, batches of {BATCH}")
    print("data    sample workers  ours samp/s plain samp/s ours MB/s   ratio")
    ratios = []
    for case in CASES:
        if options.only in (None, case.name):
            ratios += run_case(options.folder / case.name, case, options.rounds)
    print(f"lowest ratio {min(ratios):.2f} (aim: at least 0.90)")
    return int(min(ratios) < 0.9)


if __name__ == "__main__":
    sys.exit(main())
