"""The ranks of a prediction: what they must tell each other is little."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import torch

from hpctrain.comm import Communicator, Ranks
from hpctrain.comm.control import open_control
from hpctrain.errors import ConfigError
from hpctrain.log import logger
from hpctrain.predict.options import Device

_STARTS = (
    *("HPCTRAIN_LAUNCH_ID", "SLURM_JOB_ID", "SLURM_STEP_ID", "PALS_APID", "ALPS_APP_ID"),
    *("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "TORCHELASTIC_RUN_ID"),
)
"""Variables that are alike in all ranks of a start, and differ from one start to another."""
_CPU_MB = 1000
T = TypeVar("T")
_TELLING_S = 5.0
"""A launcher ends all ranks as soon as one has left; the others wait so long for that."""


def choose_device(asked: Device) -> torch.device:
    """The device of this rank; rank.sh left only its own one visible.

    Raises:
        ConfigError: there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise ConfigError(
            "--device: cuda was asked for, but torch finds no GPU; check nvidia-smi and the job's "
            "gpus_per_rank, or take cpu"
        )
    if asked == "cpu" or not has_cuda:
        return torch.device("cpu")
    device = torch.device("cuda", 0)
    torch.cuda.set_device(device)
    return device


def meet(ranks: Ranks, device: torch.device, run_dir: Path) -> Communicator:
    """A communicator: over MPI where it is there, else over torch.distributed."""
    if ranks.world_size == 1:
        from hpctrain.comm.single import SingleCommunicator

        return SingleCommunicator(ranks, device)
    control = open_control(ranks)
    if control is not None:
        from hpctrain.comm.mpi import MpiCommunicator

        return MpiCommunicator(ranks, device, control)
    from hpctrain.comm.ddp import DdpCommunicator

    return DdpCommunicator(ranks, device, run_dir, meeting=_meeting())


def _meeting() -> str:
    """Name of the place where these ranks meet: of their launcher's start and their command.

    So predictions of one run may begin at the same time.
    """
    started = [f"{name}={os.environ[name]}" for name in _STARTS if name in os.environ]
    words = "\0".join([*started, os.getcwd(), *sys.argv[1:]])
    return f"predict-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def memory_mb_of(device: torch.device) -> int:
    """What activations of a tile may take unless told otherwise: half of a GPU's memory."""
    if device.type != "cuda":
        return _CPU_MB
    return int(torch.cuda.get_device_properties(device).total_memory // 2_000_000)


def set_threads(ranks: Ranks) -> None:
    """Cores for this rank, unless the environment says how many."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // ranks.local_size))


def _nothing() -> str:
    return "the outputs that were not finished are taken away"


@contextmanager
def leaving_on_sigterm(what_stays: Callable[[], str] = _nothing) -> Iterator[None]:
    """Within it SIGTERM takes away what is half written, as Ctrl-C does, and ends with code 143.

    Args:
        what_stays: tells of that, when all is taken away that does not; empty: not on this rank.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are another one's business
        return

    def leave(number: int, frame: object) -> NoReturn:
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except _TerminatedError:
        told = what_stays()
        if told:
            logger.warning("ended by SIGTERM; %s", told)
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _TerminatedError(BaseException):
    """SIGTERM has come."""


class OtherRankError(Exception):
    """Another rank has failed, and tells why itself."""


def together(
    comm: Communicator, work: Callable[[], T], warn_others: Callable[[], None] = lambda: None
) -> T:
    """Work on every rank, after which all go on or none; returns what it gives on this one.

    Args:
        comm: the ranks.
        work: of this rank.
        warn_others: called at once where it fails, before the others have done theirs.

    Raises:
        BaseException: see `agree`.
    """
    error: BaseException | None = None
    found: list[T] = []
    has_left = False
    try:
        found.append(work())
    except OtherRankError:
        has_left = True  # the other one says so itself, in `agree`
    except Exception as e:  # noqa: BLE001 - raised by `agree`, on the first that failed
        error = e
        if comm.world_size > 1:
            logger.warning("failed (%s); ends with the other ranks", type(e).__name__)
            warn_others()
    agree(comm, error, has_left=has_left)
    return found[0]


def agree(comm: Communicator, error: BaseException | None, *, has_left: bool = False) -> None:
    """Go on together, or not at all: every rank says whether it has failed.

    Args:
        comm: the ranks.
        error: of this rank, if it has failed.
        has_left: this rank gave its work up because another one was said to have failed.

    Raises:
        BaseException: this rank's own error, if it is the first of those that failed.
        ConfigError: none has failed, and some have given up; on the first of them.
        OtherRankError: another rank tells its.
    """
    told = comm.allgather_object((error is not None, has_left))
    failed, left = ([rank for rank, pair in enumerate(told) if pair[i]] for i in range(2))
    if failed and error is not None and failed[0] == comm.rank:
        raise error
    if not failed and left and left[0] == comm.rank:
        raise ConfigError(
            f"--out: {len(left)} of {comm.world_size} ranks found a mark (.*.failed) which says "
            "that another one had failed, and none has; take such files away, see that no other "
            "prediction writes to the same place, and start again"
        )
    if failed or left:
        raise OtherRankError


def leave_quietly() -> NoReturn:
    """End a rank whose error another one tells, not before that one has told it."""
    time.sleep(_TELLING_S)
    raise SystemExit(1)
