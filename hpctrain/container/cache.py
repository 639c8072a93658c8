"""Where layers of images are kept, how one build at a time makes each, and who uses which."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ImageError

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


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

    def record(self, digest: str) -> Path:
        """What a layer is; the time of the file is that of its last use."""
        return self.folder / f"{digest}.json"

    def user(self, digest: str) -> Path:
        """What each build that needs a layer has locked, together with the others."""
        return self.folder / f"{digest}.use"

    @contextlib.contextmanager
    def used(self, digests: Sequence[str]) -> Iterator[None]:
        """Let nobody remove these layers, be they there or not yet, as long as this lasts.

        In a cache of other people, who cannot be kept from it, layers serve without.

        Raises:
            ImageError: the folder cannot be made.
        """
        with contextlib.ExitStack() as stack:
            for digest in digests:
                lock = _locked(self.user(self._made(digest)), fcntl.LOCK_SH)
                try:
                    stack.enter_context(lock)
                except OSError as e:
                    if e.errno not in _FORBIDDEN:
                        raise
            yield

    def _made(self, digest: str) -> str:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise self._refused(e) from e
        return digest

    def _refused(self, e: OSError) -> ImageError:
        return ImageError(
            f"{self.folder}: layers cannot be kept there: {e.strerror}; set XDG_CACHE_HOME to a "
            "folder of your own"
        )

    @contextlib.contextmanager
    def unused(self, digest: str) -> Iterator[bool]:
        """Whether no build uses a layer; where that is so, none begins to as long as this lasts."""
        how = fcntl.LOCK_EX | fcntl.LOCK_NB
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(_locked(self.user(digest), how))
                if self._lock(digest).exists():  # an older hpctrain locks this alone
                    stack.enter_context(_locked(self._lock(digest), how))
            except BlockingIOError:
                yield False
            else:
                yield True

    def _lock(self, digest: str) -> Path:
        return self.folder / f"{digest}.lock"

    @contextlib.contextmanager
    def locked(self, digest: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Let one process build a layer; `waiting` is called where another one does.

        Raises:
            ImageError: nothing can be written there.
        """
        try:
            file = self._lock(self._made(digest)).open("a")
        except OSError as e:
            raise self._refused(e) from e
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Lock a file that whoever has it alone may remove: then it is another file's turn."""
    while True:
        with path.open("a") as file:
            fcntl.flock(file, how)
            if _is_there(path, os.fstat(file.fileno())):
                yield
                return


def _is_there(path: Path, opened: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), opened)
    except FileNotFoundError:
        return False


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
