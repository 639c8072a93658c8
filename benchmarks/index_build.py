"""Time and memory of `hpctrain index build` against plain hashing of the same files.

    python benchmarks/index_build.py [--pairs N] [--kb N] [--rounds N] [--folder DIR]

Files: N pairs of a picture <ns>-6144x2048_position<P>.jpg (JPEG markers around random bytes) and a
thermal table <ns>-right_..._position<P>.csv in a Mobotix camera's layout, each of about --kb kB, in
rgb/ and thermal/. They have just been written or read, so that they lie in memory for both sides.

Plain hashing is what one would write without an index: list the folders, hand the names to a
process for each core in chunks of 256, and there open, read and sha256 each file. The index does
that and looks at the bytes of each file, pairs, finds duplicates and writes CSV, JSON and its
cache. Rounds are interleaved, each build is a command of its own, and medians are compared. Memory
is the sum over all processes of the command, sampled every 50 ms (resident
set size, shared pages counted in each).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

NEW = 100
START_NS = 1_678_309_118_000_000_000
_NAMES = ("plain hashing", "first build", "nothing changed", "100 new pairs")
_PAGE = os.sysconf("SC_PAGESIZE")


def make_pairs(root: Path, first: int, count: int, kb: int) -> None:
    """Write pairs number first to first + count."""
    for name in ("rgb", "thermal"):
        (root / name).mkdir(parents=True, exist_ok=True)
    generator = random.Random(first)
    width = 336  # as a real one; a real table has 252 rows and 500 kB
    height = max(2, kb * 1024 // (width * 6))
    head = f"sensor;right\nbit depth;14 bit\nwidth;{width}\nheight;{height}\nresolution;high\n"
    head += "advanced radiometry support;yes\nunit;degrees Celsius\n\n"
    values = [f"{0.04 * n - 273.15:.2f}" for n in range(7000, 7400)]
    lines = [";".join(generator.choices(values, k=width)) for _ in range(1024)]
    noise = generator.randbytes(4 << 20).replace(b"\xff", b"\xfe")
    frame = bytes.fromhex("ffd8ffc00011080800180003012200021101031101ffda000c03010002110311003f00")
    for i in range(first, first + count):
        ns, position = START_NS + i * 60_000_000_123, i % 32 + 1
        at = generator.randrange(len(noise) - kb * 1024)
        jpeg = frame + noise[at : at + kb * 1024] + i.to_bytes(4, "big") + b"\xff\xd9"
        (root / f"rgb/{ns}-6144x2048_position{position}.jpg").write_bytes(jpeg)
        first_line = generator.randrange(len(lines) - height) if height < len(lines) else 0
        body = "\n".join(lines[first_line : first_line + height])
        tail = f"right_336x252_14bit.thermal.celsius_position{position}.csv"
        (root / f"thermal/{ns}-{tail}").write_text(f"{head}{body}\n")


def _hash(paths: list[str]) -> list[tuple[str, str]]:
    digests = []
    for path in paths:
        with open(path, "rb") as f:
            digests.append((path, hashlib.sha256(f.read()).hexdigest()))
    return digests


def plain(root: Path) -> tuple[float, float]:
    """Seconds of plain hashing, listing and the start of the processes included; of all cores."""
    begin, cpu = time.perf_counter(), _cpu_s()
    paths = [f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names]
    chunks = [paths[i : i + 256] for i in range(0, len(paths), 256)]
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        num = sum(map(len, pool.map(_hash, chunks)))
    assert num == len(paths)
    return time.perf_counter() - begin, _cpu_s() - cpu


def _cpu_s() -> float:
    """Seconds that this process and those that it waited for have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def build(root: Path, out: Path, cache: Path) -> tuple[float, float, float]:
    """Seconds, seconds of all cores, and peak MB of one `hpctrain index build`."""
    command = [sys.executable, "-m", "hpctrain", "index", "build", str(root)]
    command += ["--rule", "sage", "--out", str(out)]
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    begin, cpu = time.perf_counter(), os.times()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = [0.0]
    sampler = threading.Thread(target=_sample, args=(process, peak))
    sampler.start()
    code = process.wait()
    seconds = time.perf_counter() - begin
    sampler.join()
    if code:
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
    after = os.times()
    used = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    return seconds, used, peak[0]


def _sample(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    while process.poll() is None:
        family = [process.pid, *_children(process.pid)]
        peak[0] = max(peak[0], sum(map(_resident_mb, family)))
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        pass
    return found


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    except OSError:
        return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--kb", type=int, default=24, help="size of each file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where files are made and kept")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="hpctrain-index-"))
    root, out = folder / f"data-{arguments.pairs}-{arguments.kb}", folder / "index.csv"
    try:
        if not root.is_dir():
            make_pairs(root, 0, arguments.pairs, arguments.kb)
        measure(root, out, folder, arguments)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)


def measure(root: Path, out: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """All rounds, then the table."""
    sizes = [
        entry.stat().st_size for name in ("rgb", "thermal") for entry in os.scandir(root / name)
    ]
    cache = folder / "cache"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in _NAMES}
    peaks = []
    plain(root)  # both sides find the files in memory
    added = arguments.pairs
    for _ in range(arguments.rounds):
        times["plain hashing"].append(plain(root))
        shutil.rmtree(cache, ignore_errors=True)
        for path in (out, out.with_suffix(".json")):
            path.unlink(missing_ok=True)
        for name in _NAMES[1:]:
            if name == _NAMES[-1]:
                make_pairs(root, added, NEW, arguments.kb)
                added += NEW
            *found, peak = build(root, out, cache)
            times[name].append((found[0], found[1]))
            peaks.append(peak)
        _forget(root, arguments.pairs, added)
    cores = len(os.sched_getaffinity(0))
    print(
        f"{arguments.pairs} pairs, {len(sizes)} files, {sum(sizes) / 1e9:.2f} GB, {cores} cores, "
    )
    print(f"files of {min(sizes)} to {max(sizes)} bytes; medians of {arguments.rounds} rounds")
    print(f"{'':18} {'seconds':>8} {'of cores':>9}")
    for name, found in times.items():
        wall, cpu = (statistics.median(one[k] for one in found) for k in (0, 1))
        print(f"{name:18} {wall:8.2f} {cpu:9.2f}")
    for k, what in ((0, "time"), (1, "time of all cores")):
        pairs = zip(times["plain hashing"], times["first build"], strict=True)
        ratio = statistics.median(plain[k] / first[k] for plain, first in pairs)
        print(f"plain hashing / first build, {what}: {100 * ratio:.0f} %")
    print(f"peak memory {max(peaks):.0f} MB over all processes; load {os.getloadavg()[0]:.1f}")


def _forget(root: Path, first: int, end: int) -> None:
    """Remove the pairs that were added, so that a kept folder can be used again."""
    stamps = {str(START_NS + i * 60_000_000_123) for i in range(first, end)}
    for name in ("rgb", "thermal"):
        for entry in list(os.scandir(root / name)):
            if entry.name.partition("-")[0] in stamps:
                os.unlink(entry.path)


if __name__ == "__main__":
    main()
