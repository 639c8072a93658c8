"""How a rank leaves: at once, and also where a library waits for ranks that do not come.

Libraries of MPI wait without an end, and mpi4py holds Python's lock meanwhile (MPI_Init_thread,
MPI_Finalize), so that no thread of Python runs. There faulthandler's own thread writes the stack
and ends the process, with exit code 1; the run script knows a good end from state.json.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from hpctrain.comm import Communicator, Ranks
from hpctrain.errors import LaunchError
from hpctrain.log import logger
from hpctrain.train.faults import failure

_START_S = 600.0
"""How long ranks may be apart at the start: file systems are slow when thousands import."""
_END_S = 60.0
"""How long libraries may take to end, once all is saved."""
_LOCKED_S = 15.0
"""So much later the process ends where the thread here could not run."""


def leave_at_once(code: int) -> NoReturn:
    """End without waiting for other ranks' collectives or for threads of libraries.

    Those may abort an orderly exit: the interpreter is taken down under them.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may have gone
            stream.flush()
    os._exit(code)


class StartLimit:
    """Ends this rank if the ranks have not all met within `_START_S`.

    Attributes:
        phase: what the start is at, for the message.
    """

    def __init__(self, ranks: Ranks, run_dir: Path) -> None:
        self.phase = "to read the run directory"
        self._ranks, self._run_dir = ranks, run_dir
        self._cancel = _after(_START_S, self._leave) if ranks.world_size > 1 else None

    def cancel(self) -> None:
        """All ranks are here."""
        if self._cancel is not None:
            self._cancel()

    def _leave(self) -> None:
        error = LaunchError(
            f"{self._ranks} has waited {_START_S:.0f} s {self.phase}, as some rank did not come; "
            "look in the log for ranks that said nothing or something else, and at their nodes; "
            "then start the run again"
        )
        leave_at_once(failure.report(error, self._ranks, self._run_dir))


def close_and_leave(comm: Communicator, code: int) -> NoReturn:
    """End the libraries in order, as far as they can; all is saved, so that the code stands."""

    def leave() -> None:
        logger.warning("launch.comm did not end within %.0f s; all is saved, leaving", _END_S)
        leave_at_once(code)

    _after(_END_S, leave)
    try:
        comm.close()
    except Exception as e:  # noqa: BLE001 - libraries raise what they like
        logger.warning("launch.comm did not end in order (%s); all is saved", e)
    leave_at_once(code)


def _after(seconds: float, leave: Callable[[], None]) -> Callable[[], None]:
    """Call it from a thread after so long, or end with the stack; returns what takes this back."""
    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(seconds + _LOCKED_S, exit=True)

    def cancel() -> None:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()

    return cancel
