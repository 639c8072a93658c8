"""Copy files in threads; each is whole and verified when it gets its name."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hpctrain.errors import DataError, StagingError

_PIECE = 1 << 22
_THREADS = 8


class _CancelledError(StagingError):
    """Another file has failed, or the training shall stop."""


@dataclass(frozen=True)
class Source:
    """A file as the index knows it."""

    name: str
    """Path relative to the root of the data."""
    size: int
    sha256: str
    mtime_ns: int


@dataclass
class Progress:
    """What a copying thread tells others; one that stands still for minutes hangs."""

    num_bytes: int = 0
    reused_bytes: int = 0
    num_files: int = 0
    waits: int = 0
    """Grows while another run copies the same files."""
    ticks: int = 0
    """Grows with what takes time and copies nothing: reading earlier copies, removing others."""
    is_cancelled: bool = False
    is_stopped: bool = False
    """The training was asked to stop, and the copies made so far stay."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, num_bytes: int) -> None:
        """So much was copied."""
        with self.lock:
            self.num_bytes += num_bytes

    def tick(self) -> None:
        """Something was done that may be done for long; raises as `check` does."""
        self.check()
        with self.lock:
            self.ticks += 1

    def check(self) -> None:
        """Raise a `StagingError` where there is nothing more to do."""
        if self.is_cancelled:
            why = "the training was asked to stop" if self.is_stopped else "another file failed"
            raise _CancelledError(f"copying was given up: {why}")

    def stop(self) -> None:
        """Copy no more."""
        self.is_stopped = self.is_cancelled = True

    def beat(self) -> tuple[int, ...]:
        """Something that changes as long as work goes on."""
        return self.num_bytes + self.reused_bytes, self.num_files, self.waits, self.ticks


class Copies:
    """The copies in one stage, and a journal of what each was when it was made.

    A copy counts only with its line in the journal, which is written after the file has its name.
    """

    def __init__(self, stage: Path, root: Path) -> None:
        self.files, self._temporary = stage / "files", stage / "temporary"
        self._root, self._journal = root, stage / "copied"
        self._lock = threading.Lock()
        self.files.mkdir(exist_ok=True)
        self._temporary.mkdir(exist_ok=True)
        for left in self._temporary.iterdir():  # torn, of a process that was killed
            left.unlink()
        self._known = self._read()

    def is_whole(self, source: Source, progress: Progress) -> bool:
        """Whether a copy is there and as it was made; after a reboot its content is read."""
        path, known = self.files / source.name, self._known.get(source.name)
        if known is None or known.get("sha256") != source.sha256:
            return False
        if _facts(path) != known.get("facts"):
            return False
        if known.get("boot") == boot_id():
            return True
        try:
            with path.open("rb", buffering=0) as file:
                return _digest(file, progress) == source.sha256
        except OSError:
            return False

    def copy(self, source: Source, progress: Progress) -> None:
        """Copy one file.

        Raises:
            DataError: it cannot be read, or is not the one that was indexed.
            StagingError: the copy cannot be written.
        """
        path = self._root / source.name
        temporary = self._temporary / f"{threading.get_ident()}.tmp"
        try:
            with path.open("rb", buffering=0) as file:
                digest, size = self._write(file, temporary, progress)
        except OSError as e:
            raise DataError(f"{path}: cannot be read ({e.strerror}); restore the file") from e
        if (size, digest) != (source.size, source.sha256):
            with suppress(OSError):
                temporary.unlink()
            raise DataError(
                f"{path}: content has changed since the job was rendered; restore the file or "
                "render the job again"
            )
        self._place(source, temporary)
        with progress.lock:
            progress.num_files += 1

    def link(self, source: Source) -> None:
        """Let readers find a file that is not copied in its own place."""
        path = self.files / source.name
        if path.is_symlink() and os.readlink(path) == str(self._root / source.name):
            return
        with self._unwritable():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._temporary / f"{threading.get_ident()}.link"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(self._root / source.name)
            temporary.replace(path)

    def _write(self, file: BinaryIO, temporary: Path, progress: Progress) -> tuple[str, int]:
        """Copy and digest at once; what the kernel keeps of the original is let go."""
        digest, size = hashlib.sha256(), 0
        buffer = bytearray(_PIECE)
        view = memoryview(buffer)
        with self._unwritable():
            target = temporary.open("wb", buffering=0)
        with target:
            while count := file.readinto(buffer):  # type: ignore[attr-defined]
                progress.check()
                digest.update(view[:count])
                with self._unwritable():
                    _write_all(target, view[:count])
                size += count
                progress.add(count)
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return digest.hexdigest(), size

    def _place(self, source: Source, temporary: Path) -> None:
        path = self.files / source.name
        with self._unwritable():
            os.utime(temporary, ns=(source.mtime_ns, source.mtime_ns))
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
            line = {
                "name": source.name,
                "sha256": source.sha256,
                "facts": _facts(path),
                "boot": boot_id(),
            }
            with self._lock, self._journal.open("a") as journal:
                journal.write(json.dumps(line) + "\n")

    def _read(self) -> dict[str, Mapping[str, Any]]:
        """The journal; its last line may be torn, and later ones hold."""
        found: dict[str, Mapping[str, Any]] = {}
        try:
            lines = self._journal.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return found
        for text in lines:
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                found[line["name"]] = line
        if lines:  # a torn line must not spoil the next
            with self._journal.open("a") as journal:
                journal.write("\n")
        return found

    def _unwritable(self) -> _Unwritable:
        return _Unwritable(self.files)


class _Unwritable:
    """Turns what writing raises into a reason to read in place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StagingError(f"{self._folder}: cannot be written ({error.strerror})") from error


def copy_all(copies: Copies, sources: Iterable[Source], progress: Progress) -> None:
    """Copy files in threads; the first that fails ends the others.

    Raises:
        DataError: see `Copies.copy`.
        StagingError: likewise.
    """

    def copy(source: Source) -> None:
        try:
            progress.check()
            copies.copy(source, progress)
        except BaseException:
            progress.is_cancelled = True
            raise

    _each(copy, sorted(sources, key=lambda s: -s.size))


def find_missing(copies: Copies, sources: Iterable[Source], progress: Progress) -> list[Source]:
    """Those that are not copied yet."""

    def look(source: Source) -> Source | None:
        progress.check()
        if not copies.is_whole(source, progress):
            return source
        with progress.lock:
            progress.reused_bytes += source.size
        return None

    return [source for source in _each(look, list(sources)) if source is not None]


def _each(function: Callable[[Source], Any], sources: list[Source]) -> list[Any]:
    with ThreadPoolExecutor(_THREADS, "staging") as pool:
        futures = [pool.submit(function, source) for source in sources]
    errors = [e for f in futures if (e := f.exception())]
    # who ended the others comes first
    errors.sort(key=lambda e: (not isinstance(e, DataError), isinstance(e, _CancelledError)))
    if errors:
        raise errors[0]
    return [future.result() for future in futures]


def boot_id() -> str:
    """Changes when the node starts anew, which may lose what was not on its disk yet."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _facts(path: Path) -> list[int]:
    try:
        status = path.lstat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(file: BinaryIO, progress: Progress) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        progress.tick()
        digest.update(piece)
    return digest.hexdigest()


def _write_all(file: BinaryIO, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]
