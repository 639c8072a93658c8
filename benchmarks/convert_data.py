"""Conversions against doing it in one go with numpy, tifffile and zarr: MB/s, memory, reading.

    python benchmarks/convert_data.py [--folder DIR] [--mb 1000] [--only NAME] [--rounds 3]
                                      [--one-file]

fields: netCDF-3 files of (lat 180, r 201, lon 360) float32, four variables, to npy; the plain way
loads a file, transposes and saves. With --one-file all bytes are in a single file of a finer grid.
volume: uint16 TIFF layers like a CT scan (air is zero, papyrus noisy) to Zarr 3 in chunks of 64^3;
the plain way is tifffile.imread and zarr's create_array of the same chunks, shards and codec. Ours
is timed with and without its comparison with the source; the plain way compares nothing. Each runs
in a process of its own, whose peak memory is its own less that of its imports; rounds are
interleaved, medians are printed. reading: cubes of 64^3 at random places, files in the page cache.
pairs: thermal frames and pictures, from files and from records.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCIVIS = (180, 201, 360)
NAMES = ("temperature", "vx", "vy", "vz")


def make_fields(folder: Path, megabytes: int, is_one_file: bool) -> list[Path]:
    """Files in the contest's layout, random numbers."""
    from hpctrain.formats.netcdf3 import Variable, write

    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, round(megabytes * 1e6 / (16 * math.prod(SCIVIS))))
    finer = count ** (1 / 3) if is_one_file else 1
    lat, r, lon = shape = tuple(round(n * finer) for n in SCIVIS)
    count = 1 if is_one_file else count
    axes = {"lat": np.linspace(90, -90, lat), "r": np.linspace(3485, 6371, r)}
    axes["lon"] = np.linspace(0, 360, lon)
    coordinates = [Variable(k, (k,), v) for k, v in axes.items()]
    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / f"spherical{i + 1:03d}.nc"
        if not path.exists():
            fields = [
                Variable(n, tuple(axes), rng.standard_normal(shape, np.float32)) for n in NAMES
            ]
            write(path, dict(zip(axes, shape, strict=True)), coordinates + fields, {})
    return sorted(folder.glob("*.nc"))


def make_layers(folder: Path, megabytes: int, **options: object) -> Path:
    """Layers of 1000 x 1100 pixels: two fifths air of zeros, sheets with a scanner's noise."""
    import tifffile
    from scipy.ndimage import gaussian_filter

    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:1000, :1100]
    rng = np.random.default_rng(0)
    for z in range(max(1, round(megabytes * 1e6 / (2 * x.size)))):
        path = folder / f"{z:05d}.tif"
        if not path.exists():
            r = np.hypot(y - 500, x - 550) + 0.1 * z
            sheets = 20000 + 9000 * np.sin(r / 3)
            noise = gaussian_filter(rng.standard_normal(x.shape, np.float32), 0.7) * 2500
            layer = np.where(r < 470, sheets + noise, 0).astype(np.uint16)
            tifffile.imwrite(path, layer, **options)
    return folder


def make_pairs(folder: Path, count: int) -> Path:
    """Pictures of 1024 x 768 as JPEG, thermal frames of 252 x 336 as the camera's CSV."""
    from PIL import Image

    from hpctrain.formats.mobotix import write_thermal
    from hpctrain.index.digests import sha256_of
    from hpctrain.index.store import save_index
    from hpctrain.index.table import Columns, Index, Row

    for name in ("rgb", "ir"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    columns = Columns(("rgb", "ir"))
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8))
        thermal = f"{i}_right_336x252_14bit.thermal.celsius_position1.csv"
        if not (folder / "ir" / thermal).exists():
            coarse.resize((1024, 768)).save(folder / "rgb" / f"{i}.jpg", quality=92)
            counts = rng.integers(6000, 7500, (252, 336)).astype(np.uint16)
            write_thermal(folder / "ir" / thermal, counts)
        cells = {"id": str(i), "rgb": f"rgb/{i}.jpg", "ir": f"ir/{thermal}"}
        for part in columns.modalities:
            status = (folder / cells[part]).stat()
            cells[f"{part}_sha256"] = sha256_of(folder / cells[part])
            cells[f"{part}_size"] = str(status.st_size)
            cells[f"{part}_mtime"] = str(status.st_mtime_ns)
        rows.append(Row.make(columns, **cells))
    save_index(Index(folder.resolve(), rows, {}, columns), folder / "index.csv")
    return folder / "index.csv"


class Silent:
    """No progress."""

    def begin(self, *_: object) -> None:
        """Nothing to say."""

    def advance(self, *_: object) -> None:
        """Nothing to say."""


def ours(to: str, sources: list[str], out: str, **options: object) -> None:
    from hpctrain.convert.engine import convert
    from hpctrain.convert.options import Options

    convert(Options(tuple(map(Path, sources)), to, Path(out), **options), Silent())


def plain_fields(sources: list[str], out: str) -> None:
    from scipy.io import netcdf_file

    Path(out).mkdir()
    for source in sources:
        with netcdf_file(source, mmap=False) as f:
            values = [f.variables[n][:].transpose(1, 0, 2).astype(np.float32) for n in NAMES]
        np.save(Path(out) / Path(source).with_suffix(".npy").name, np.stack(values))


def plain_volume(source: str, out: str) -> None:
    import tifffile
    import zarr

    values = tifffile.imread(sorted(map(str, Path(source).glob("*.tif"))))
    shards = tuple(min(256, -(-n // 64) * 64) for n in values.shape)
    codec = zarr.codecs.ZstdCodec(level=1)
    root = zarr.open_group(out, mode="w")
    root.create_array("volume", data=values, chunks=(64,) * 3, shards=shards, compressors=[codec])


def child(task: str, arguments: str) -> None:
    """Imports, then the task; prints seconds, those of all cores, and memory above the imports'."""
    import scipy.io
    import tifffile
    import zarr

    import hpctrain.convert.command

    assert scipy.io
    assert tifffile
    assert zarr
    assert hpctrain.convert.command
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory_mb("VmHWM")
    start, cpu = time.perf_counter(), time.process_time()
    positional, named = json.loads(arguments)
    {"ours": ours, "plain_fields": plain_fields, "plain_volume": plain_volume}[task](
        *positional, **named
    )
    for path in Path(positional[-1]).rglob("*"):  # both sides end with the data on the disk
        if path.is_file():
            with path.open("rb") as f:
                os.fsync(f.fileno())
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps([seconds, cpu, memory_mb("VmHWM") - before]))


def memory_mb(name: str) -> float:
    """A line of this process's status, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1e3
    raise LookupError(name)


def timed(out: Path, task: str, *positional: object, **named: object) -> tuple[float, float, float]:
    """Seconds, seconds of all cores, and megabytes of one process."""
    for old in (out, out.with_name(out.name + ".partial")):
        shutil.rmtree(old, ignore_errors=True)
    arguments = json.dumps([positional, named])
    done = subprocess.run(
        [sys.executable, __file__, "--child", task, arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return tuple(json.loads(done.stdout))


def compare(name: str, megabytes: float, out: Path, rounds: int, sides: dict[str, tuple]) -> None:
    """Rounds of all sides, interleaved."""
    found: dict[str, list[tuple[float, float, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, (task, positional, named) in sides.items():
            found[side].append(timed(out, task, *positional, **named))
    plain = [statistics.median(run[k] for run in found["plain"]) for k in (0, 1)]
    for side, runs in found.items():
        seconds, cpu = (statistics.median(run[k] for run in runs) for k in (0, 1))
        peak = max(run[2] for run in runs)
        print(
            f"{name:22} {side:16} {megabytes / seconds:7.0f} MB/s {peak:8.0f} MB   "
            f"{plain[0] / seconds:5.2f} x plain ({plain[1] / cpu:.2f} by seconds of all cores)",
            flush=True,
        )


def fields(folder: Path, megabytes: int, rounds: int, is_one_file: bool) -> None:
    home = folder / ("field" if is_one_file else "fields")
    sources = [str(p) for p in make_fields(home, megabytes, is_one_file)]
    size = sum(os.path.getsize(p) for p in sources) / 1e6
    out = folder / "out_fields"
    compare(
        f"{'one file' if is_one_file else 'fields'} {size:.0f} MB",
        size,
        out,
        rounds,
        {
            "plain": ("plain_fields", (sources, str(out)), {}),
            "ours": ("ours", ("npy", sources, str(out)), {"verify": False}),
            "ours, compared": ("ours", ("npy", sources, str(out)), {}),
        },
    )


def volume(folder: Path, megabytes: int, rounds: int) -> None:
    for kind, options in (("plain", {}), ("lzw", {"compression": "lzw"})):
        source = make_layers(folder / f"layers_{kind}", megabytes, **options)
        size = 2.2 * len(list(source.glob("*.tif")))
        out = folder / "out_volume"
        compare(
            f"{kind} TIFF {size:.0f} MB",
            size,
            out,
            rounds,
            {
                "plain": ("plain_volume", (str(source), str(out)), {}),
                "ours": ("ours", ("zarr", [str(source)], str(out)), {"verify": False}),
                "ours, compared": ("ours", ("zarr", [str(source)], str(out)), {}),
            },
        )


def cubes(read, shape: tuple[int, ...], budget_s: float = 2.0) -> tuple[float, float]:
    """Cubes of 64^3 a second, and processor ms of one, at the same random places for all."""
    rng = np.random.default_rng(1)
    places = [[int(rng.integers(0, n - 64)) for n in shape] for _ in range(4000)]
    for z, y, x in places[:10]:
        read((slice(z, z + 64), slice(y, y + 64), slice(x, x + 64)))
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < budget_s:
        z, y, x = places[count % len(places)]
        read((slice(z, z + 64), slice(y, y + 64), slice(x, x + 64)))
        count += 1
    cpu = time.process_time() - cpu
    return count / (time.perf_counter() - start), 1e3 * cpu / count


def reading(folder: Path, megabytes: int) -> None:
    import zarr

    from hpctrain.formats.sources import open_source

    source = make_layers(folder / "layers_plain", min(megabytes, 400))
    lzw = make_layers(folder / "layers_lzw", min(megabytes, 400), compression="lzw")
    raw = open_source(source).array()
    size = raw.num_bytes / 1e6
    print(f"\nreading 64^3 at random places of {size:.0f} MB")
    print("codec   chunk  written MB/s  ratio  hpctrain 1/s ms CPU    zarr 1/s ms CPU")
    for codec, chunk in (
        ("zstd", 64),
        ("blosc", 64),
        ("none", 64),
        ("zstd", 32),
        ("zstd", 128),
    ):
        out = folder / "out_reading"
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        ours("zarr", [str(source)], str(out), codec=codec, chunk=chunk, verify=False)
        rate = size / (time.perf_counter() - start)
        stored = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
        own = open_source(out).array()
        theirs = zarr.open(out, mode="r")["volume"]
        key = (slice(100, 164), slice(333, 397), slice(500, 564))
        if not np.array_equal(own[key], theirs[key]) or not np.array_equal(own[key], raw[key]):
            raise SystemExit("the readers differ")
        mine, library = (cubes(r.__getitem__, raw.shape) for r in (own, theirs))
        print(
            f"{codec:7} {chunk:5} {rate:13.0f} {size / stored:6.2f} {mine[0]:12.0f} {mine[1]:6.1f}"
            f"{library[0]:12.0f} {library[1]:6.1f}",
            flush=True,
        )
    for name, array in (("plain", raw), ("lzw", open_source(lzw).array())):
        rate, cpu = cubes(array.__getitem__, raw.shape)
        print(f"{name + ' TIFF layers':33} {rate:12.1f} {cpu:6.1f}")


def pairs(folder: Path, count: int) -> None:
    from hpctrain.formats.pairs import RecordPairs, from_index

    index = make_pairs(folder / "pairs", count)
    size = sum(p.stat().st_size for p in index.parent.rglob("*") if p.is_file()) / 1e6
    out = folder / "out_pairs"
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    ours("records", [str(index)], str(out))
    seconds = time.perf_counter() - start
    stored = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    print(f"\n{count} pairs: {size:.0f} MB to {stored:.0f} MB, compared, {size / seconds:.0f} MB/s")
    packed, files = RecordPairs(out), from_index(index)
    thermal = sorted((index.parent / "ir").glob("*.csv"))
    ways = {
        "np.loadtxt": lambda i: np.loadtxt(thermal[i], skiprows=8, delimiter=";"),
        "hpctrain, CSV": lambda i: files.read(i, "ir"),
        "hpctrain, records": lambda i: packed.read(i, "ir").copy(),
        "RGB from files": lambda i: files.read(i, "rgb"),
        "RGB from records": lambda i: packed.read(i, "rgb"),
    }
    for name, read in ways.items():
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < 1:
            read(done % count)
            done += 1
        print(f"{name:20} {done / (time.perf_counter() - start):10.0f} frames/s")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "convert_data")
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--only", choices=["fields", "volume", "reading", "pairs"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one-file", action="store_true", help="fields: a single large source")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    cores, rounds = len(os.sched_getaffinity(0)), options.rounds
    print(f"{cores} cores, {rounds} rounds, medians; peak memory of a process")
    if options.only in (None, "fields"):
        fields(options.folder, options.mb, rounds, options.one_file)
    if options.only in (None, "volume"):
        volume(options.folder, options.mb, rounds)
    if options.only in (None, "reading"):
        reading(options.folder, options.mb)
    if options.only in (None, "pairs"):
        pairs(options.folder, 300)


if __name__ == "__main__":
    main()
