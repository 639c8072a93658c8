"""One start at a time: two trainers in a run directory would overwrite each other's checkpoints."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from hpctrain.errors import BusyError, LaunchError
from hpctrain.log import logger
from hpctrain.run_state import age
from hpctrain.train.run import unwritable

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_BEAT_S = 20.0
_SILENT_S = 180.0
"""Where the kernel knows no locks, a holder that has been silent for so long is taken for dead."""
_SETTLE_S = 2.0
"""There, two starts at the same moment see within this time which one wrote last."""
_UNKNOWN = ""
"""No note: nobody holds the lock, it is being written, or the file system gives no answer."""


class RunLock:
    """Held by rank 0 from start to end.

    A record lock of the kernel: it ends with its process, however that dies, and NFS, GPFS and
    Lustre (mounted with `flock`) pass it between nodes. On others the note in the file is the
    lock: its holder touches it again and again, and leaves when somebody else has written it.
    """

    def __init__(self, run_dir: Path) -> None:
        """Take the lock.

        Raises:
            BusyError: another process has it; names host, process, start and last sign of life.
            TrainError: the run directory cannot be written.
        """
        self._run_dir, self._path = run_dir, run_dir / "logs" / ".lock"
        self._is_kernels = True
        self._next_beat = 0.0
        launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "by hand")
        self._note = f"host {socket.gethostname()}, process {os.getpid()}, {launch}"
        try:
            self._file = self._path.open("a+")
        except OSError as e:
            raise unwritable(self._path, e) from e
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno not in _NO_LOCKS:
                raise self._busy() from e
            logger.info("%s: no locks on this file system (%s)", self._path, e.strerror)
            self._is_kernels = False
            self._take_over()
            return
        with suppress(OSError):  # a full disk; the lock holds without its note
            self._write()

    def beat(self) -> None:
        """Give a sign of life, now and then; called again and again from the watchdog's thread.

        Raises:
            LaunchError: another start has taken the run, as this one was silent for long.
        """
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + _BEAT_S
        holder = self._note if self._is_kernels else self._read()
        if holder not in (self._note, _UNKNOWN):
            raise LaunchError(
                f"{self._run_dir}: another start ({holder}) has taken this run, as this one "
                "was halted or cut off; this one leaves"
            )
        os.utime(self._path)

    def release(self) -> None:
        """Let another start have the run directory."""
        if self._is_kernels or self._read() == self._note:
            with suppress(OSError):
                self._file.truncate(0)
        self._file.close()

    def _take_over(self) -> None:
        holder = self._read()
        if holder != _UNKNOWN and not self._is_dead(holder):
            raise self._busy()
        try:
            self._write()
        except OSError as e:
            self._file.close()
            raise unwritable(self._path, e) from e
        time.sleep(_SETTLE_S)
        if self._read() not in (self._note, _UNKNOWN):
            raise self._busy()

    def _is_dead(self, holder: str) -> bool:
        here = f"host {socket.gethostname()}, process "
        if holder.startswith(here):
            pid = holder.removeprefix(here).split(",")[0]
            # containers count from 1, so that the number of a dead holder is soon another's
            if pid == str(os.getpid()) or not Path("/proc", pid).exists():
                return True
        return self._silence() > _SILENT_S

    def _busy(self) -> BusyError:
        holder = self._read() or "another process"
        silence = self._silence()
        self._file.close()
        way_out = (
            f"let it end, ask it to stop with `touch {self._run_dir / 'STOP'}`, or render another: "
            f"--as {self._run_dir.name}-2"
        )
        if silence > _SILENT_S:
            way_out = (
                f"it has given no sign of life for {age(silence)}: if that process or its host is "
                f"dead, `rm {self._path}` and start again; while it lives, that would let two "
                "trainings overwrite each other"
            )
        elif not self._is_kernels:
            way_out += f"; if its host is dead, start again in {_SILENT_S:.0f} s"
        return BusyError(f"{self._run_dir}: this run is training already ({holder}); {way_out}")

    def _silence(self) -> float:
        """Seconds since the holder's last sign of life, by the clock of the file system."""
        probe = self._path.with_name(f".lock-{os.getpid()}")
        try:
            probe.touch()
            return probe.stat().st_mtime - self._path.stat().st_mtime
        except OSError:
            return 0.0
        finally:
            with suppress(OSError):
                probe.unlink()

    def _read(self) -> str:
        # never while the kernel's lock is held: closing any handle of the file would release it
        try:
            return self._path.read_text().strip()
        except OSError:
            return _UNKNOWN

    def _write(self) -> None:
        # past Python's buffer, which would keep what a full disk refused and fail again at the end
        os.ftruncate(self._file.fileno(), 0)
        os.write(self._file.fileno(), f"{self._note}\n".encode())
        os.fsync(self._file.fileno())
