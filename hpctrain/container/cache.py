"""Where layers of images are kept, and how one build at a time makes each."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cache:
    """A folder with an image for each layer that was built.

    Attributes:
        folder: it need not be there.
    """

    folder: Path

    def image(self, digest: str) -> Path:
        """Where the image of a layer is, or will be."""
        return self.folder / f"{digest}.sif"

    def log(self, digest: str) -> Path:
        """What the engine said while it built a layer."""
        return self.folder / f"{digest}.log"

    @contextlib.contextmanager
    def locked(self, digest: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Let one process build a layer; `waiting` is called where another one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{digest}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def user_cache() -> Cache:
    """The user's own: $XDG_CACHE_HOME/hpctrain/images."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Cache(Path(base) / "hpctrain" / "images")


def base_digest(path: Path) -> str:
    """What stands for an image that another one begins with.

    A file by its content; a folder by the names, sizes and times of what is in it, as nobody reads
    a whole system twice.
    """
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    for root, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            stat = os.lstat(os.path.join(root, name))
            digest.update(os.fsencode(f"{root}/{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return digest.hexdigest()
