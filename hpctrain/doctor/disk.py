"""How fast a folder takes files: run as a program, so that a dead file system holds up no other.

    python disk.py FOLDER SECONDS

Prints one line of JSON. Written as checkpoints are: to another name, synced, renamed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

BLOCK = 4 << 20
MOST = 64 << 20
SMALL = 4096
MOST_RENAMES = 50


def write_speed(folder: str, seconds: float) -> dict[str, float]:
    """Bytes a second of one large file, what the disk needs to have it safe included."""
    block, written = os.urandom(BLOCK), 0
    path = os.path.join(folder, "large")
    begin = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        while written < MOST and time.perf_counter() - begin < seconds:
            written += file.write(block)
        os.fsync(file.fileno())
    took = time.perf_counter() - begin
    os.unlink(path)
    return {"bytes": written, "bytes_per_s": written / took}


def rename_time(folder: str, seconds: float) -> dict[str, float]:
    """Median seconds until a small file stands under its name, safely."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MOST_RENAMES and time.perf_counter() < end:
        begin = time.perf_counter()
        with open(os.path.join(folder, "small.part"), "wb", buffering=0) as file:
            file.write(b"x" * SMALL)
            os.fsync(file.fileno())
        os.replace(os.path.join(folder, "small.part"), os.path.join(folder, "small"))
        times.append(time.perf_counter() - begin)
    return {"count": len(times), "median_s": sorted(times)[len(times) // 2]}


def room(folder: str) -> dict[str, int]:
    """Free space and files."""
    found = os.statvfs(folder)
    return {
        "free": found.f_bavail * found.f_frsize,
        "size": found.f_blocks * found.f_frsize,
        "free_files": found.f_favail,
        "files": found.f_files,
    }


def kind(folder: str) -> dict[str, str]:
    """Type and place of the mount that holds a folder."""
    best = ("", "", "")
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            place, name = left.split()[4], right.split()
            inside = folder == place or folder.startswith(place.rstrip("/") + "/")
            if inside and len(place) >= len(best[0]):
                best = (place, name[0], name[1])
    return {"mount": best[0], "type": best[1], "source": best[2]}


def main() -> None:
    """Measure one folder."""
    folder, seconds = os.path.realpath(sys.argv[1]), float(sys.argv[2])
    page: dict[str, Any] = {"folder": folder, **kind(folder), **room(folder)}
    try:
        with tempfile.TemporaryDirectory(prefix=".hpctrain-doctor-", dir=folder) as own:
            page["write"] = write_speed(own, seconds)
            page["rename"] = rename_time(own, seconds)
    except OSError as e:
        page["error"] = e.strerror or str(e)
    print(json.dumps(page))


if __name__ == "__main__":
    main()
