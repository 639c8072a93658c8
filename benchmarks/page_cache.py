"""Samples/s of divided against global order, with data larger than memory that may cache them.

    python benchmarks/page_cache.py [--folder DIR] [--cache-mb 256] [--ratio 4] [--only CASE]

A child process reads with the real loader inside a memory cgroup whose limit is what the process
itself needs and `--cache-mb` more, so that the kernel can keep a part 1 / ratio of the data. It
needs a memory controller that can be written: as root, on cgroups v1 or v2.

The files are random float32 boxes, low and high resolution, the latter twice as fine. Each round
runs every order in turn, in a fresh process and cgroup, after the data were dropped from the page
cache; the first seconds, in which the cache fills, are left out. Medians are compared.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SCALE, HALO, SEED = 2, 2, 0
WORKERS, AHEAD = 2, 8
MB = 1 << 20
LIMITS = {"memory.limit_in_bytes": "memory.usage_in_bytes", "memory.max": "memory.current"}
ORDERS = {
    "global": {"kind": "global"},
    "global, no read-ahead": {"kind": "global"},
    "divided, distance 1": {"kind": "divided", "parts": 1, "shuffle_distance": 1},
    "divided, distance 4": {"kind": "divided", "parts": 1, "shuffle_distance": 4},
}


@dataclass(frozen=True)
class Case:
    """One geometry of files and samples."""

    name: str
    coarse: int
    channels: int
    crop: int
    batch: int

    @property
    def file_bytes(self) -> int:
        """Of one file and its low-resolution twin."""
        return 4 * self.channels * (self.coarse**3 + (SCALE * self.coarse) ** 3)


CASES = (
    Case("crops", 64, 1, 16, 8),
    Case("big crops", 64, 1, 32, 8),
    Case("whole files", 64, 1, 64, 2),
)


def make_files(folder: Path, case: Case, data_bytes: int) -> int:
    """Write files of random numbers, unless they are there; returns how many there are."""
    import numpy as np

    count = -(-data_bytes // case.file_bytes)
    for part, size in (("hr", SCALE * case.coarse), ("lr", case.coarse)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for i in range(count + 1):
            path = folder / part / f"f{i:04d}.npy"
            if not path.exists():
                rng = np.random.default_rng([SEED, i, size])
                values = rng.random((case.channels, size, size, size), np.float32)
                np.save(path, values)
        for path in sorted((folder / part).glob("*.npy"))[count + 1 :]:
            path.unlink()
    return count


def drop(folder: Path) -> None:
    """Take the files out of the page cache."""
    for path in folder.rglob("*.npy"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


class Cgroup:
    """A memory cgroup for one child."""

    def __init__(self) -> None:
        v1 = Path("/sys/fs/cgroup/memory")
        top = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
        self.path = top / f"hpctrain-page-cache-{os.getpid()}"
        try:
            self.path.mkdir()
        except OSError as e:
            sys.exit(
                f"{self.path}: cannot be made ({e.strerror}): this machine lets nobody but root, "
                "or nobody, bound the page cache; nothing was measured"
            )
        if not any((self.path / name).exists() for name in LIMITS):
            self.path.rmdir()
            sys.exit(f"{top}: has no memory controller; nothing was measured")

    def close(self) -> None:
        """Remove it; its processes have ended."""
        for _ in range(50):
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.1)
        return None


def read_in_child(options: argparse.Namespace) -> None:
    """Enter the cgroup, read for some seconds, print what was found."""
    group = Path(options.cgroup)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    import torch

    from hpctrain.config.data import Fields
    from hpctrain.config.order import Order
    from hpctrain.data import BatchLoader, DividedSampler, FieldDataset, GlobalSampler
    from hpctrain.data.page_cache import UsedFiles, Window, read_files_ahead
    from hpctrain.data.sampler import stream
    from hpctrain.index.table import Index, Row

    torch.set_num_threads(1)
    case = next(c for c in CASES if c.name == options.only)
    names = sorted(p.name for p in (options.folder / "hr").glob("*.npy"))
    rows = tuple(
        Row(n, "train" if i + 1 < len(names) else "validation", target=f"hr/{n}", input=f"lr/{n}")
        for i, n in enumerate(names)
    )
    fields = Fields(
        kind="fields",
        root=str(options.folder),
        targets=["hr/*.npy"],
        inputs=["lr/*.npy"],
        validation_steps=1,
        geometry="box",
        crop=(case.crop,) * 3,
    )
    index = Index(options.folder, rows, {})
    data = FieldDataset(fields, index, "train", SCALE, HALO, SEED)
    order = Order(**ORDERS[options.child])
    per_file, after = data.samples_per_file, None
    batch = min(case.batch, len(data))
    if order.kind == "global":
        sampler = GlobalSampler(len(data), batch, SEED)
        shares = stream(sampler, 0, 1, epochs=10**6)
    else:
        sampler = DividedSampler(len(data), batch, SEED, order, per_file)
        shares = stream(sampler, 0, 1, epochs=10**6)
        shares = read_files_ahead(data, shares, Window.of(sampler, 1))
        after = UsedFiles(data).count
    if "no read-ahead" in options.child:
        advise(data)
    with BatchLoader(data, shares, WORKERS, AHEAD, after_sample=after) as loader:
        batch_held = next(loader)
        wait_until_full()
        limit(group, options.cache_mb * MB)
        del batch_held
        begin = time.perf_counter()
        while time.perf_counter() - begin < options.fill_s:
            next(loader)
        begin, count, before = time.perf_counter(), 0, bytes_read()
        while time.perf_counter() - begin < options.seconds:
            count += len(next(loader).ids)
        spent = time.perf_counter() - begin
    print(json.dumps([count / spent, (bytes_read() - before) / max(1, count)]), flush=True)
    os._exit(0)


def advise(data) -> None:
    """Tell the kernel not to read around a fault, as is best for samples far apart."""
    for source in (data._target, data._input):
        for i in range(len(source)):
            for _, block in source.open(i).blocks:
                base = block
                while base.base is not None and not isinstance(base.base, mmap.mmap):
                    base = base.base
                base.base.madvise(mmap.MADV_RANDOM)


def wait_until_full() -> None:
    """Until all batches are there that are read ahead, so that memory grows no more."""
    before, still = -1, 0
    while still < 5:
        time.sleep(0.3)
        own = own_bytes()
        before, still = own, still + 1 if own <= before else 0


def own_bytes() -> int:
    """Memory of this process that is no file's."""
    words = Path("/proc/self/statm").read_text().split()
    return (int(words[1]) - int(words[2])) * mmap.PAGESIZE


def limit(group: Path, cache_bytes: int) -> None:
    """Bound the group to what the process holds by itself and so much page cache."""
    for name in LIMITS:
        if (group / name).exists():
            (group / name).write_text(str(own_bytes() + cache_bytes))


def bytes_read() -> int:
    """What this process has made the disk read."""
    text = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("read_bytes"))


def measure(options: argparse.Namespace, case: Case, order: str, folder: Path) -> list[float]:
    """One child from cold files; samples/s and bytes read from the disk a sample."""
    drop(folder)
    group = Cgroup()
    words = [sys.executable, __file__, "--child", order, "--cgroup", str(group.path)]
    words += ["--folder", str(folder), "--only", case.name, "--cache-mb", str(options.cache_mb)]
    words += ["--seconds", str(options.seconds), "--fill-s", str(options.fill_s)]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    finally:
        group.close()
    if done.returncode:
        sys.exit(f"{order}: the child ended with {done.returncode}\n{done.stderr}")
    found: list[float] = json.loads(done.stdout)
    return found


def show(found: dict[str, list[list[float]]]) -> None:
    """The rows of one case; ratios are to the faster of the two global orders."""
    rates = {order: statistics.median(rate for rate, _ in runs) for order, runs in found.items()}
    base = max(rate for order, rate in rates.items() if order.startswith("global"))
    for order, runs in found.items():
        read = statistics.median(read for _, read in runs) / 1024
        print(f"  {order:22}{rates[order]:7.0f} samples/s  {rates[order] / base:5.1f}x  ", end="")
        print(f"{read:7.0f} kB read a sample")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "page_cache")
    parser.add_argument("--cache-mb", type=int, default=256)
    parser.add_argument("--ratio", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--fill-s", type=float, default=4.0)
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--cgroup", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return read_in_child(options)
    for case in CASES:
        if options.only not in (None, case.name):
            continue
        folder = options.folder / str(case.coarse)
        count = make_files(folder, case, int(options.ratio * options.cache_mb * MB))
        print(
            f"{case.name}: {count} files of {case.file_bytes / MB:.1f} MB, "
            f"{count * case.file_bytes / MB:.0f} MB in all, {options.cache_mb} MB of page cache; "
            f"samples of {case.crop}^3 to {SCALE * case.crop}^3 cells"
        )
        found: dict[str, list[list[float]]] = {order: [] for order in ORDERS}
        for _ in range(options.rounds):
            for order in ORDERS:
                found[order].append(measure(options, case, order, folder))
        show(found)
    return None


if __name__ == "__main__":
    main()
