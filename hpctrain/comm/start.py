"""Choose a communicator and the device of this rank."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import torch

from hpctrain.comm.base import Communicator
from hpctrain.comm.control import open_control, require_control
from hpctrain.comm.ranks import Ranks
from hpctrain.config.reduction import Reduction
from hpctrain.errors import LaunchError
from hpctrain.log import logger


def start(
    kind: str, ranks: Ranks, run_dir: Path, reduction: Reduction | None = None
) -> Communicator:
    """Open the communicator that `launch.comm` names.

    Args:
        kind: auto, horovod, ddp, mpi or single; auto takes Horovod where it is installed,
            and no wrapper at all for one rank.
        ranks: this process's place.
        run_dir: where the ranks can leave each other an address.
        reduction: what the communicator must be able to do.

    Raises:
        LaunchError: the communicator is not installed, or does not fit the number of ranks.
    """
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # rank.sh left exactly this rank's device visible
    if kind == "auto":
        kind = _choose(device, reduction or Reduction()) if ranks.world_size > 1 else "single"
    return _OPEN[kind](ranks, device, run_dir)


def _single(ranks: Ranks, device: torch.device, run_dir: Path) -> Communicator:
    if ranks.world_size > 1:
        raise LaunchError(
            f"launch.comm is single but {ranks.world_size} ranks were started; "
            "choose auto, horovod, ddp or mpi"
        )
    from hpctrain.comm.single import SingleCommunicator

    return SingleCommunicator(ranks, device)


def _ddp(ranks: Ranks, device: torch.device, run_dir: Path) -> Communicator:
    from hpctrain.comm.ddp import DdpCommunicator

    control = open_control(ranks) if ranks.world_size > 1 else None
    return DdpCommunicator(ranks, device, run_dir, control)


def _mpi(ranks: Ranks, device: torch.device, run_dir: Path) -> Communicator:
    from hpctrain.comm.mpi import MpiCommunicator

    return MpiCommunicator(ranks, device, require_control(ranks))


def _horovod(ranks: Ranks, device: torch.device, run_dir: Path) -> Communicator:
    try:  # before mpi4py, which then takes the MPI library that Horovod has loaded
        from hpctrain.comm.horovod import HorovodCommunicator, has_nccl
    except ImportError as e:
        raise LaunchError(
            f"launch.comm is horovod but it cannot be imported ({e}); "
            "build it with `make horovod`, or set launch.comm: ddp"
        ) from e
    if device.type == "cuda" and not has_nccl():
        raise LaunchError(
            "launch.comm is horovod but this Horovod was built for CPUs; build it with "
            "HOROVOD_GPU_OPERATIONS=NCCL, or set launch.comm: ddp"
        )
    control = open_control(ranks, "Horovod") if ranks.world_size > 1 else None
    return HorovodCommunicator(ranks, device, control)


_OPEN = {"single": _single, "ddp": _ddp, "mpi": _mpi, "horovod": _horovod}


def _choose(device: torch.device, reduction: Reduction) -> str:
    """Horovod if it loads and can send what is asked for, else DDP."""
    if reduction.op == "adasum":
        return "horovod"  # or an error that says what it lacks
    if reduction.compression == "bfloat16":
        return "ddp"  # Horovod has no such type
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "ddp"  # torchrun starts no MPI, which Horovod needs
    if find_spec("horovod") is None:
        return "ddp"
    try:
        from hpctrain.comm.horovod import has_nccl
    except ImportError as e:
        logger.warning("Horovod is installed but does not load (%s); going on with DDP", e)
        return "ddp"
    if device.type == "cuda" and not has_nccl():
        logger.info("this Horovod was built for CPUs; going on with DDP")
        return "ddp"
    return "horovod"
