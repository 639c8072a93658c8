"""Where stages lie on a node, who uses them, and how those that nobody uses are taken away.

    FOLDER/hpctrain-UID/HOST/lock           held for moments, while users come and go
    FOLDER/hpctrain-UID/HOST/KEY/users/     a file a user, locked as long as its process lives
    FOLDER/hpctrain-UID/HOST/KEY/files/     copies, and links to what is not copied
    FOLDER/hpctrain-UID/HOST/KEY/copied     what each copy was when it was made
    FOLDER/hpctrain-UID/HOST/KEY.gone-TIME  a stage that is being removed

A process that is killed loses its lock with its life, whatever container it was in, so that nothing
has to be told by a process number.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpctrain.errors import StagingError

KEPT_S = 2 * 86400.0
"""How long a stage waits for the next job of a chain; schedulers that empty a node need not."""
_KEY = re.compile("[0-9a-f]{16}")
"""Name of a stage."""
_GONE = re.compile(r"[0-9a-f]{16}\.gone-[0-9]+")
"""Name of one that is being removed."""


def expand(folder: str) -> Path:
    """A folder with its environment variables, as this node has them.

    Raises:
        StagingError: a variable is not set, or it is no absolute path.
    """
    text = os.path.expandvars(folder)
    if unset := re.findall(r"\$\{?\w+\}?", text):
        raise StagingError(f"{folder}: {unset[0]} is not set on this node")
    if not os.path.isabs(text):
        raise StagingError(f"{folder}: is {text!r} on this node, which is no absolute path")
    return Path(text)


class Folder:
    """All stages of one user on one node."""

    def __init__(self, scratch: Path, host: str) -> None:
        """Make it.

        Args:
            scratch: a folder of the node's disk.
            host: name of the node, as the folder may turn out to be shared with others.

        Raises:
            StagingError: it is missing, cannot be written, or is another's.
        """
        if not scratch.is_dir():
            found = "is no folder" if scratch.exists() else "does not exist"
            raise StagingError(f"{scratch} {found} on this node")
        own = scratch / f"hpctrain-{os.getuid()}"
        self.path = own / host
        try:
            own.mkdir(mode=0o700, exist_ok=True)  # data may be meant for few eyes
            mode = _mode_of_ours(own)
            if mode & 0o022:
                raise StagingError(
                    f"{own} may be written by others (mode {mode:03o}), and what lies there cannot "
                    "be trusted; remove it, or chmod it to 700"
                )
            if mode & 0o055:
                own.chmod(0o700)
            self.path.mkdir(exist_ok=True)
            _mode_of_ours(self.path)
            with self.locked():  # also where this file system knows no locks, it is found here
                pass
        except OSError as e:
            raise StagingError(f"{scratch}: cannot be written ({e.strerror})") from e

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While users come and go."""
        with (self.path / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def sweep(self, without: str = "") -> list[Path]:
        """Set stages aside that nobody uses, and nothing else; the folder must be locked.

        Args:
            without: a stage that is left alone.

        Returns:
            Where they lie now, for `remove`; also those that somebody began to remove.
        """
        gone = []
        for stage in sorted(self.path.iterdir()):
            if stage.name != without and _is_stage(stage) and not _users(stage):
                with suppress(OSError):
                    gone.append(_set_aside(stage))
            elif _GONE.fullmatch(stage.name) and not stage.is_symlink():
                gone.append(stage)
        return gone


class User:
    """This process as a user of one stage; it ends with the process, or when it leaves."""

    def __init__(self, folder: Folder, stage: Path, run_dir: Path) -> None:
        """Enter; the folder must be locked."""
        self._folder, self._stage = folder, stage
        (stage / "users").mkdir(parents=True, exist_ok=True)
        name = _name_of(run_dir)
        self._path = stage / "users" / f"{name}.{os.getpid()}-{time.monotonic_ns()}"
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        for old in (stage / "users").glob(f"{name}.kept"):
            old.unlink()

    def leave(self, keep_for: Path | None = None) -> bool:
        """Leave; a stage that nobody uses any more is taken away.

        Args:
            keep_for: run directory whose next job will come for the stage; None: none will.

        Returns:
            Whether the stage was taken away.
        """
        with self._folder.locked():
            if keep_for is not None:
                note = self._stage / "users" / f"{_name_of(keep_for)}.kept"
                note.write_text(json.dumps({"run": str(keep_for), "until": time.time() + KEPT_S}))
            self._path.unlink(missing_ok=True)
            self._file.close()
            if _users(self._stage):
                return False
            gone = _set_aside(self._stage)
        remove([gone])
        return True


def release(scratch: Path, host: str, run_dir: Path) -> list[str]:
    """Take away stages that were only kept for a run, or whose users have all died.

    Returns:
        Keys of the stages that are gone.
    """
    if not (scratch / f"hpctrain-{os.getuid()}" / host).is_dir():
        return []
    folder = Folder(scratch, host)
    with folder.locked():
        for note in folder.path.glob(f"*/users/{_name_of(run_dir)}.kept"):
            note.unlink(missing_ok=True)
        gone = folder.sweep()
    remove(gone)
    return [path.name.partition(".")[0] for path in gone]


def remove(gone: Iterable[Path], tick: Callable[[], None] = lambda: None) -> None:
    """Remove what was set aside; outside of the lock, as a large stage takes minutes.

    Args:
        gone: what `Folder.sweep` returned; others may be removing it, too.
        tick: called for each file.
    """
    for stage in gone:
        for folder, _, names in os.walk(stage, topdown=False):
            for name in names:
                tick()
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))
        shutil.rmtree(stage, ignore_errors=True)


def _set_aside(stage: Path) -> Path:
    """Give it a name that nobody looks for."""
    return stage.rename(stage.with_name(f"{stage.name}.gone-{time.time_ns()}"))


def _name_of(run_dir: Path) -> str:
    return hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]


def _mode_of_ours(folder: Path) -> int:
    """Permissions of a folder that is this user's, and no link.

    Raises:
        StagingError: it is neither.
    """
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise StagingError(f"{folder} is not ours, and what lies there cannot be trusted")
    return stat.S_IMODE(status.st_mode)


def _is_stage(path: Path) -> bool:
    """By its name and what it holds; other folders there are somebody's own."""
    folders = path, path / "users"
    return bool(_KEY.fullmatch(path.name)) and all(
        folder.is_dir() and not folder.is_symlink() for folder in folders
    )


def _users(stage: Path) -> list[Path]:
    """Those that live, and jobs that will come; the others' files are taken away."""
    found = []
    for path in (stage / "users").glob("*"):
        if _is_kept(path) if path.suffix == ".kept" else _is_locked(path):
            found.append(path)
        else:
            path.unlink(missing_ok=True)
    return found


def _is_kept(path: Path) -> bool:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return bool(json.loads(path.read_text())["until"] > time.time())
    return False


def _is_locked(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
