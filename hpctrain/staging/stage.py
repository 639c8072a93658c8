"""One stage: made by one process of a node, shared with whoever reads the same files there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import StagingError
from hpctrain.staging.copying import Copies, Progress, Source, copy_all, find_missing
from hpctrain.staging.folder import Folder, User, expand, remove

_SPARE_BYTES = 64 << 20
"""Left free on the node's disk."""
_WAIT_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """What came of staging on one node."""

    root: str = ""
    """Where readers find the files; empty: in their own place."""
    num_bytes: int = 0
    """That were copied."""
    reused_bytes: int = 0
    """That an earlier job or another run had copied."""
    num_files: int = 0
    seconds: float = 0.0
    reason: str = ""
    """Why files are read in their own place."""


class Stage:
    """The files of one index on one node.

    Args:
        folder: of the node's disk, with variables of the environment.
        host: the node.
        root: of the data.
        digest: of the index.
        run_dir: who asks.
    """

    def __init__(self, folder: str, host: str, root: Path, digest: str, run_dir: Path) -> None:
        self._place, self._host, self._root, self._run_dir = folder, host, root, run_dir
        self._key = hashlib.sha256(f"{digest}\0{root}".encode()).hexdigest()[:16]
        self._user: User | None = None
        self.progress = Progress()

    def fill(self, copied: Sequence[Source], linked: Sequence[Source] = ()) -> Outcome:
        """Copy files, unless that is done already.

        Args:
            copied: files that this node reads.
            linked: others of the index.

        Raises:
            DataError: a file is not the one that was indexed.
        """
        begin = time.monotonic()
        try:
            root = self._fill(copied, linked)
        except StagingError as e:
            if not self.progress.is_stopped:  # else who asked for that knows what is to come
                self.leave()
            return Outcome(reason=str(e), seconds=time.monotonic() - begin)
        except BaseException:
            self.leave()
            raise
        told = self.progress
        sizes = told.num_bytes, told.reused_bytes, told.num_files
        return Outcome(str(root), *sizes, seconds=time.monotonic() - begin)

    def stop(self) -> None:
        """Let `fill` in another thread end soon; its copies stay until `leave`."""
        self.progress.stop()

    def leave(self, *, is_kept: bool = False) -> bool:
        """Use it no more; the last user takes the files away, unless the run's next job comes.

        Returns:
            Whether they were taken away.
        """
        user, self._user = self._user, None
        if user is None:
            return False
        with suppress(OSError):  # the disk may have gone, and the training is done
            return user.leave(self._run_dir if is_kept else None)
        return False

    def _fill(self, copied: Sequence[Source], linked: Sequence[Source]) -> Path:
        scratch = expand(self._place)
        folder = Folder(scratch, self._host)
        stage = folder.path / self._key
        try:
            with folder.locked():
                self._user = User(folder, stage, self._run_dir)
                gone = folder.sweep(without=self._key)
            remove(gone, self.progress.tick)
            with self._copying_alone(stage):
                copies = Copies(stage, self._root)
                missing = find_missing(copies, copied, self.progress)
                _check_room(scratch, missing, len(linked))
                copy_all(copies, missing, self.progress)
                known = {source.name for source in copied}
                for source in linked:
                    if source.name not in known and not copies.is_whole(source, self.progress):
                        copies.link(source)
        except OSError as e:
            raise StagingError(f"{stage}: cannot be written ({e.strerror})") from e
        return copies.files

    @contextmanager
    def _copying_alone(self, stage: Path) -> Iterator[None]:
        """Another run that copies the same files is waited for; then they are there."""
        with (stage / "copying").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.progress.check()
                    self.progress.waits += 1
                    time.sleep(_WAIT_S)
            yield


def size_text(num_bytes: float) -> str:
    """A size to read, in MB or GB."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _check_room(scratch: Path, missing: Sequence[Source], num_links: int) -> None:
    room = os.statvfs(scratch)
    needed, free = sum(source.size for source in missing), room.f_bavail * room.f_frsize
    if missing and needed + _SPARE_BYTES > free:
        raise StagingError(
            f"{scratch} has {size_text(free)} left, and the files of this node need "
            f"{size_text(needed)}"
        )
    if room.f_files and len(missing) + num_links > room.f_favail:
        raise StagingError(f"{scratch} has no inodes left for {len(missing) + num_links} files")
