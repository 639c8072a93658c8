"""What a failing rank says: one message a job, in the log and in state.json."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hpctrain.comm import Ranks
from hpctrain.comm.lost import is_peer_lost
from hpctrain.errors import BusyError, HpctrainError, TrainError
from hpctrain.log import logger
from hpctrain.train.faults import launcher
from hpctrain.train.run import RunState

LAUNCHER_GONE = (
    "the launcher on this node has gone, and the ranks with it: it was killed, or lost another "
    "node; start the run again"
)
_STARTED = time.time()
_OTHERS_SPEAK_FIRST_S = 3.0
_STAGGER_S = 0.1
_MAX_STAGGERED = 40


def report(
    error: BaseException, ranks: Ranks, run_dir: Path, explained: Callable[[str], str] = str
) -> int:
    """Say what happened, unless another rank has; returns the exit code.

    All ranks find the same in configuration, data and checkpoints, and when one leaves, the
    collectives of all others break. So rank 0 speaks first in the one case, and the rank that left
    in the other; what is unexpected is told at once, with its traceback.

    Args:
        error: what happened.
        ranks: this rank.
        run_dir: the run directory.
        explained: adds other names of paths to a message.
    """
    is_echo = is_peer_lost(error) or launcher.is_gone()
    message, code = _words(error, is_echo)
    if isinstance(error, HpctrainError | OSError):
        message = explained(message)
    if is_echo or (ranks.rank and isinstance(error, HpctrainError)):
        let_others_speak(ranks)
        if is_told(run_dir):
            return code
    if is_echo or isinstance(error, HpctrainError):
        logger.error("%s", message.removeprefix(f"{ranks} "))  # the logger says it
    else:
        logger.error("%s\n%s", message, "".join(traceback.format_exception(error)).rstrip())
    if not isinstance(error, BusyError) and not is_told(run_dir):
        own = message if message.startswith(str(ranks)) else f"{ranks} {message}"
        remember(run_dir, own, code, type(error).__name__)
    return code


def let_others_speak(ranks: Ranks) -> None:
    """Wait until a rank that knows more, or a lower one, has said what happened."""
    time.sleep(_OTHERS_SPEAK_FIRST_S + _STAGGER_S * min(ranks.rank, _MAX_STAGGERED))


def _words(error: BaseException, is_echo: bool) -> tuple[str, int]:
    first_line = (str(error).splitlines() or [""])[0]
    if launcher.is_gone():
        return LAUNCHER_GONE, TrainError.exit_code
    if is_echo:
        text = (
            f"another rank has left in the middle of an exchange ({first_line}); if it said "
            "nothing itself it was killed: look for the memory limit or a node that is down"
        )
        return text, TrainError.exit_code
    if isinstance(error, HpctrainError):
        return str(error), error.exit_code
    return f"{type(error).__name__}: {error}", 1


def is_told(run_dir: Path) -> bool:
    """Whether a rank of this start has written its failure into state.json."""
    fields = RunState(run_dir).fields
    launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "")
    if fields.get("status") != "failed" or fields.get("launch_id", "") != launch:
        return False
    if launch:
        return "message" in fields  # without one the run script has noted the exit code
    return bool(fields.get("updated", 0.0) >= _STARTED)


def remember(run_dir: Path, message: str, code: int, error: str = "") -> None:
    """Write a failure into state.json.

    Args:
        run_dir: the run directory.
        message: what people read.
        code: exit code.
        error: class of the exception, which tells a loss that is no number from all else.
    """
    if not (run_dir / "config.yaml").is_file():
        return
    launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "")
    with suppress(TrainError):  # the log has the message, and a full disk may be what it says
        RunState(run_dir).update(
            status="failed", launch_id=launch, message=message, exit_code=code, error=error
        )
