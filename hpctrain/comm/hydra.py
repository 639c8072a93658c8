"""Tell Hydra, the launcher of MPICH and Intel MPI, that this rank ends well.

MPICH since 4.0 does so not in MPI_Finalize but in an exit handler of C, which ranks that leave by
`os._exit` never run. Hydra then takes the end of the first rank for a crash and kills the others of
that node: also what started an image, before it has ended the process that mounts the image's file.
That process keeps Hydra's pipes open, so that mpiexec waits for ever.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Mapping

_ANSWER_S = 5.0
_GOODBYE = b"cmd=finalize\n"
"""In words of PMI 1, which Hydra understands from every rank; it answers cmd=finalize_ack."""


class HydraLine:
    """The socket to Hydra's daemon on this node, which MPI uses until it is finalised."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        text = env.get("PMI_FD", "")
        # srun has a PMI_FD, too; MPI_LOCALRANKID is Hydra's alone
        self._fd = int(text) if "MPI_LOCALRANKID" in env and text.isdecimal() else -1
        self._socket = self._identity()

    def say_goodbye(self) -> None:
        """Once MPI is finalised; nothing where the library has done so, or the launcher is another.

        A library that has said it closes the socket, and its number may be another file's by now.
        """
        if self._socket is None or self._identity() != self._socket:
            return
        try:
            os.write(self._fd, _GOODBYE)
            # Hydra fails where nobody takes its answer
            if select.select([self._fd], [], [], _ANSWER_S)[0]:
                os.read(self._fd, 256)
        except (OSError, ValueError):
            return  # its daemon has gone, and would have killed this rank

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None
