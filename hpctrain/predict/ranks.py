"""The ranks of a prediction: what they must tell each other is little."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NoReturn

import torch

from hpctrain.comm import Communicator, Ranks
from hpctrain.comm.control import open_control
from hpctrain.errors import ConfigError
from hpctrain.predict.options import Device

_CPU_MB = 1000
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

    return DdpCommunicator(ranks, device, run_dir)


def memory_mb_of(device: torch.device) -> int:
    """What activations of a tile may take unless told otherwise: half of a GPU's memory."""
    if device.type != "cuda":
        return _CPU_MB
    return int(torch.cuda.get_device_properties(device).total_memory // 2_000_000)


def set_arithmetic(device: torch.device, *, is_float32: bool, is_deterministic: bool) -> None:
    """On a GPU: float32 that is not rounded to TF32, and the fastest algorithm for tiles."""
    if device.type != "cuda":
        return
    torch.backends.cudnn.benchmark = not is_deterministic  # all tiles have one shape
    if is_float32:
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def set_threads(ranks: Ranks) -> None:
    """Cores for this rank, unless the environment says how many."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // ranks.local_size))


class OtherRankError(Exception):
    """Another rank has failed, and tells why itself."""


def agree(comm: Communicator, error: BaseException | None) -> None:
    """Go on together, or not at all: every rank says whether it has failed.

    Raises:
        BaseException: this rank's own error, if it is the first of those that failed.
        OtherRankError: another rank tells its.
    """
    failed = comm.allgather_object(error is not None)
    if not any(failed):
        return
    if error is not None and failed.index(True) == comm.rank:
        raise error
    raise OtherRankError


def leave_quietly() -> NoReturn:
    """End a rank whose error another one tells, not before that one has told it."""
    time.sleep(_TELLING_S)
    raise SystemExit(1)
