"""Random cubes/s of a volume four times larger than the memory that may cache it.

    python benchmarks/scroll_cubes.py [--folder DIR] [--cache-mb 256] [--seconds 6]

Each way reads 32^3 cubes of uint16 at places with equal chance, on one thread as the notebook, or
four: tensorstore has two for the disk and two to unpack, ours do both, each for some cubes in turn.
Each way is in a process and memory cgroup of its own, whose limit is what the process itself needs
and `--cache-mb` more; files are dropped from the page cache before. Needs a memory controller that
can be written, and for its rows tensorstore (`pip install 'hpctrain[benchmark]'`).

The notebook's way reads whole slices and cuts them. `loader` is all that a training does: draw,
read, normalise, turn, and put 256 cubes into a batch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from page_cache import MB, Cgroup, bytes_read, limit
from scroll_volume import SLICES, make

CUBE, BATCH, THREADS, AHEAD, AT_ONCE = 32, 256, 4, 32, 16
SHAPE = (512, 1024, 1024)
WAYS = {
    "notebook: whole slices": SLICES,
    "notebook: mapped slices": SLICES,
    "TIFF, read": SLICES,
    "zstd, tensorstore": "zarr",
    "zstd, read": "zarr",
    "plain, tensorstore": "plain",
    "plain, read": "plain",
    "plain, loader": "plain",
}
NOTEBOOK, PAIRS = "notebook: whole slices", {"zstd": "zarr", "plain": "plain"}
Place = tuple[int, int, int]


def places() -> Iterator[Place]:
    """First cells of cubes, with equal chance everywhere."""
    rng = np.random.default_rng(7)
    while True:
        z, y, x = (int(rng.integers(n - CUBE + 1)) for n in SHAPE)
        yield z, y, x


def whole_slices(folder: Path) -> Callable[[Place], Any]:
    """As the notebook: read each slice and keep a corner of it."""
    import tifffile

    files = sorted(folder.glob("*.tif"))

    def read(place: Place) -> Any:
        z, y, x = place
        part = slice(y, y + CUBE), slice(x, x + CUBE)
        return np.stack([tifffile.imread(f)[part] for f in files[z : z + CUBE]])

    return read


def mapped_slices(folder: Path) -> Callable[[Place], Any]:
    """The same with each slice mapped."""
    import tifffile

    files = sorted(folder.glob("*.tif"))

    def read(place: Place) -> Any:
        z, y, x = place
        part = slice(y, y + CUBE), slice(x, x + CUBE)
        return np.stack([tifffile.memmap(f, mode="r")[part] for f in files[z : z + CUBE]])

    return read


def tensorstore(folder: Path) -> Callable[[Place], Any]:
    """Futures of tensorstore, without a cache of its own and with as many threads in all."""
    import tensorstore as ts

    threads = {"limit": THREADS // 2}
    context = {
        "cache_pool": {"total_bytes_limit": 0},
        "data_copy_concurrency": threads,
        "file_io_concurrency": threads,
    }
    kvstore = {"driver": "file", "path": str((folder / "volume").resolve())}
    spec = {"driver": "zarr3", "kvstore": kvstore, "context": context}
    store = ts.open(spec, open=True).result()

    def read(place: Place) -> Any:
        z, y, x = place
        return store[z : z + CUBE, y : y + CUBE, x : x + CUBE].read()

    return read


def dataset(folder: Path) -> Any:
    """Training samples of the volume."""
    from hpctrain.config.scroll_data import Scroll
    from hpctrain.data.scroll import ScrollDataset
    from hpctrain.index.scroll.build import build_scroll_index

    scroll = Scroll(
        kind="scroll",
        root=str(folder.parent),
        volumes=[folder.name],
        sample="cube",
        window=(CUBE, CUBE, CUBE),
        samples_per_epoch=10**9,
    )
    data = ScrollDataset(scroll, build_scroll_index(scroll, Path("/")), "train", 0)
    data.scales = data.measure_scales()
    return data


def cubes(way: str, folder: Path) -> Iterator[int]:
    """Read for ever; each number is that of the cubes that came."""
    if way == "notebook: whole slices" or way == "notebook: mapped slices":
        read = (whole_slices if "whole" in way else mapped_slices)(folder)
        for place in places():
            read(place)
            yield 1
    elif way.endswith("tensorstore"):
        read, queue = tensorstore(folder), deque[Any]()
        for place in places():
            queue.append(read(place))
            if len(queue) >= AHEAD:
                queue.popleft().result()
                yield 1
    elif way.endswith("loader"):
        from hpctrain.data import BatchLoader
        from hpctrain.data.sampler import DrawnSampler, stream

        shares = stream(DrawnSampler(10**9, BATCH, 0), 0, 1)
        for batch in BatchLoader(dataset(folder), shares, THREADS, 4):
            yield len(batch.ids)
    else:
        yield from by_threads(dataset(folder).volumes[0])


def by_threads(volume: Any) -> Iterator[int]:
    """Each thread reads some cubes at a time, as the threads of a training do."""

    def read_some(some: list[Place]) -> int:
        return len([volume.read(place, (CUBE, CUBE, CUBE)) for place in some])

    own, queue = places(), deque[Any]()
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            queue.append(pool.submit(read_some, list(islice(own, AT_ONCE))))
            if len(queue) > THREADS + AHEAD // AT_ONCE:
                yield queue.popleft().result()


def read_in_child(options: argparse.Namespace) -> None:
    """Enter the cgroup, read for some seconds, print cubes/s, CPU and bytes read a cube."""
    group = Path(options.cgroup)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    found = cubes(options.child, options.folder / WAYS[options.child])
    for _ in range(4):
        next(found)
    limit(group, options.cache_mb * MB)
    begin = time.perf_counter()
    while time.perf_counter() - begin < options.seconds / 2:
        next(found)
    begin, cpu, before, count = time.perf_counter(), time.process_time(), bytes_read(), 0
    while time.perf_counter() - begin < options.seconds:
        count += next(found)
    spent, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(json.dumps([count / spent, cpu / count, (bytes_read() - before) / count]), flush=True)
    os._exit(0)


def measure(options: argparse.Namespace, way: str) -> list[float]:
    """One child from cold files."""
    for path in (options.folder / WAYS[way]).rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
    group = Cgroup()
    words = [sys.executable, __file__, "--child", way, "--cgroup", str(group.path)]
    words += ["--folder", str(options.folder), "--cache-mb", str(options.cache_mb)]
    words += ["--seconds", str(options.seconds)]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    finally:
        group.close()
    if done.returncode:
        sys.exit(f"{way}: the child ended with {done.returncode}\n{done.stderr}")
    found: list[float] = json.loads(done.stdout)
    return found


def check_equal(options: argparse.Namespace) -> None:
    """Both readers give the same cubes of the same files."""
    for name in PAIRS.values():
        other, own = tensorstore(options.folder / name), dataset(options.folder / name).volumes[0]
        for place in islice(places(), 64):
            if not np.array_equal(other(place).result(), own.read(place, (CUBE, CUBE, CUBE))):
                sys.exit(f"{name}: cubes at {place} differ; nothing was measured")


def compare(options: argparse.Namespace) -> None:
    """All ways in turn, some rounds; medians and ratios."""
    check_equal(options)
    runs: dict[str, list[list[float]]] = {way: [] for way in WAYS if options.only in way}
    for _ in range(options.rounds):
        for way, found in runs.items():
            found.append(measure(options, way))
    rates, cpu = {}, {}
    for way, found in runs.items():
        columns = zip(*found, strict=True)
        rates[way], cpu[way], read = (statistics.median(column) for column in columns)
        print(
            f"{way:24}{rates[way]:8.0f} cubes/s {1e3 * cpu[way]:8.2f} ms of CPU "
            f"{read / 1024:9.0f} kB from the disk a cube"
        )
    for way in rates:
        if way.endswith(", read") and NOTEBOOK in rates:
            print(f"{way} against the notebook: {rates[way] / rates[NOTEBOOK]:.1f}x")
        other = way.replace("read", "tensorstore")
        if other != way and other in rates:
            print(
                f"{way} against tensorstore: {rates[way] / rates[other]:.2f}x, "
                f"by CPU time {cpu[other] / cpu[way]:.2f}x"
            )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cubes")
    parser.add_argument("--cache-mb", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="ways with this in their name")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--cgroup", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return read_in_child(options)
    make(options.folder, SHAPE)
    return compare(options)


if __name__ == "__main__":
    main()
