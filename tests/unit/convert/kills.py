"""Kill a conversion at points where it touches the disk, finish it, compare: run as a program.

    python -m tests.unit.convert.kills STORE SOURCE... FOLDER

Each attempt is a process of its own that ends itself with SIGKILL at its n-th touch of a file in
FOLDER (open, rename, remove, mkdir, truncate, fsync). The next one is killed as well, a few touches
farther on, and the third may finish. Prints how many points there were; exit 1: something differs.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path

from tests.unit.convert.builders import run, tree

MOST = 8
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.rmdir"}
OPTIONS: dict[str, dict] = {
    "npy": {"workers": 1},
    "zarr": {"workers": 1, "chunk": 8, "shard": 16},
    "records": {"workers": 1},
}


class Touches:
    """Counts touches of files in a folder, and ends the process at one of them."""

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.folder, self.fatal, self.count = str(folder), fatal, 0

    def touch(self) -> None:
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def hook(self, event: str, args: tuple) -> None:
        if event in EVENTS and args and self.folder in os.fsdecode(str(args[0])):
            self.touch()

    def install(self) -> None:
        sys.addaudithook(self.hook)
        for name in ("fsync", "fdatasync", "pwrite"):
            original = getattr(os, name)

            def wrapped(*args, _original=original):
                self.touch()
                return _original(*args)

            setattr(os, name, wrapped)


def attempt(store: str, sources: list[Path], folder: Path, fatal: int | None) -> int | None:
    """Convert in a process of its own; returns its number of touches, None when it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        touches = Touches(folder, fatal)
        touches.install()
        try:
            run(sources, store, folder / "out", **OPTIONS[store])
            os.write(writer, str(touches.count).encode())
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    text = os.read(reader, 20)
    os.close(reader)
    if os.WIFSIGNALED(status):
        return None
    if not text:
        raise SystemExit(f"an attempt failed where it should go on (killed before at {fatal})")
    return int(text)


def main(store: str, *paths: str) -> int:
    for name in ("zarr", "numcodecs.zstd", "tifffile", "PIL.Image", "google_crc32c"):
        importlib.import_module(name)  # once, and not in each process
    *sources, folder = (Path(p) for p in paths)
    folder.mkdir()
    total = attempt(store, sources, folder, None)
    expected = tree(folder / "out")
    assert total is not None
    # all of the last steps, where the store gets its name, and some of those before
    points = sorted({*range(0, total - 8, max(1, total // MOST)), *range(total - 8, total)})
    for point in points:
        shutil.rmtree(folder / "out")
        for fatal in (point, point // 2 + 3, None):
            if attempt(store, sources, folder, fatal) is not None:
                break
            if (folder / "out").exists() and tree(folder / "out") != expected:
                print(f"killed at {point}: {folder / 'out'} is there and is not whole")
                return 1
        # after a kill between the last two steps the store is there, and a last run cleans up
        attempt(store, sources, folder, None)
        if tree(folder / "out") != expected or len(list(folder.iterdir())) != 1:
            print(f"killed at {point}: the result differs")
            return 1
    print(f"{len(points)} of {total} points")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
