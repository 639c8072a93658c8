"""One start at a time: two trainers in a run directory would overwrite each other's checkpoints."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from hpctrain.errors import BusyError
from hpctrain.log import logger
from hpctrain.train.run import unwritable

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class RunLock:
    """Held by rank 0 from start to end.

    A record lock of the kernel: it ends with its process, however that dies, and NFS, GPFS and
    Lustre (mounted with `flock`) pass it between nodes. On others it is no protection.
    """

    def __init__(self, run_dir: Path) -> None:
        """Take the lock.

        Raises:
            BusyError: another process has it; names host, process and start.
            TrainError: the run directory cannot be written.
        """
        path = run_dir / "logs" / ".lock"
        try:
            self._file = path.open("a+")
        except OSError as e:
            raise unwritable(path, e) from e
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno in _NO_LOCKS:
                logger.info("%s: no locks on this file system (%s)", path, e.strerror)
                return
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise BusyError(
                f"{run_dir}: this run is training already ({holder}); let it end, ask it to stop "
                f"with `touch {run_dir / 'STOP'}`, or render another: --as {run_dir.name}-2"
            ) from e
        launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "by hand")
        with suppress(OSError):  # a full disk; the lock holds without its note
            self._file.truncate(0)
            self._file.write(f"host {socket.gethostname()}, process {os.getpid()}, {launch}\n")
            self._file.flush()

    def release(self) -> None:
        """Let another start have the run directory."""
        self._file.close()
