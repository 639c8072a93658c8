"""A second line between the ranks, over MPI: small Python values, never gradients.

It serves whichever communicator moves the tensors: an address to meet at, the proof at start-up,
the vote on stopping, results of a validation. On CUDA devices it keeps all this out of the stream.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from hpctrain.comm.hydra import HydraLine
from hpctrain.comm.mpi_library import NoMpiError, open_mpi
from hpctrain.comm.ranks import Ranks
from hpctrain.errors import LaunchError
from hpctrain.log import logger

_MEETING_S = 10.0


class Control:
    """Collectives of Python values over a communicator of its own, apart from all other traffic."""

    def __init__(self, mpi: Any) -> None:
        self.mpi = mpi
        self._launcher = HydraLine()
        self.comm = mpi.COMM_WORLD.Dup()

    def allgather(self, value: Any) -> list[Any]:
        """Picklable values of all ranks, in the order of ranks."""
        return list(self.comm.allgather(value))

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value."""
        return self.comm.bcast(value)

    def close(self) -> None:
        """Finalise MPI; every rank must call, after all other libraries that use MPI."""
        if not self.mpi.Is_finalized():
            self.comm.Free()
            self.mpi.Finalize()
        self._launcher.say_goodbye()


def open_control(ranks: Ranks, shared_with: str = "") -> Control | None:
    """The channel, where mpi4py is there and its MPI is the launcher's; else None.

    Raises:
        LaunchError: the library that shares this MPI and cannot do without sees other ranks.
    """
    try:
        MPI = open_mpi()
    except NoMpiError as e:
        logger.debug("no MPI beside the communicator: %s", e)
        return None
    found = (MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size)
    if shared_with:
        check_world(shared_with, ranks, *found)
    if found == (ranks.rank, ranks.world_size):
        return Control(MPI)
    logger.debug("no MPI beside the communicator: it sees rank %d of %d", *found)
    MPI.Finalize()
    return None


def let_all_connect(ranks: Ranks) -> None:
    """Let all ranks come up before this one leaves alone; returns in any case after a while.

    Open MPI's launcher 5.0 may crash or hang where a rank ends while another one connects.
    """
    if ranks.world_size == 1:
        return
    meeting = threading.Thread(target=_meet, daemon=True)
    meeting.start()
    meeting.join(_MEETING_S)


def _meet() -> None:
    with suppress(NoMpiError):
        open_mpi()


def require_control(ranks: Ranks) -> Control:
    """The same where nothing else will do.

    Raises:
        LaunchError: says what is missing.
    """
    try:
        MPI = open_mpi()
    except NoMpiError as e:
        raise LaunchError(
            f"launch.comm is mpi, but {e}; install mpi4py for the MPI that starts the job, or set "
            "launch.comm: ddp"
        ) from e
    check_world("mpi4py", ranks, MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size)
    return Control(MPI)


def check_world(library: str, ranks: Ranks, rank: int, size: int) -> None:
    """Compare what MPI says with what the launcher told rank.sh.

    Raises:
        LaunchError: they differ; names the rank and its host.
    """
    if (rank, size) == (ranks.rank, ranks.world_size):
        return
    if size == 1:
        reason = (
            f"the launcher started {ranks.world_size} ranks, and the MPI of {library} believes to "
            "be alone, as its PMI does not fit the launcher's: choose the fitting PMI (`srun "
            f"--mpi=list` shows them), build {library} with the MPI that starts the job"
        )
    elif size == ranks.world_size:
        reason = (
            f"the MPI of {library} sees this process as rank {rank}, and HPCTRAIN_RANK says "
            f"{ranks.rank}: let rank.sh alone set it"
        )
    else:
        reason = (
            f"the MPI of {library} sees rank {rank} of {size}: one launcher was started within "
            f"another, or {library} has another MPI than the launcher; check the run script"
        )
    raise LaunchError(
        f"{ranks} {reason}, or set launch.comm: ddp; `hpctrain doctor --job` of this run, inside a "
        "job, shows both sides"
    )
