"""Does any rank say yes: asked before a step, answered after it, alike on all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from hpctrain.comm.base import Communicator, Handle
    from hpctrain.comm.control import Control


class Vote(Protocol):
    """One question at a time: `ask`, then `answer`, then perhaps `ask` again."""

    def ask(self, says_yes: bool) -> None:
        """Begin to tell the others what this rank says."""

    def answer(self) -> bool:
        """True on all ranks or on none; False where nothing was asked."""


class ControlVote:
    """Over MPI, beside the gradients and outside of any CUDA stream."""

    def __init__(self, control: Control) -> None:
        self._mpi, self._comm = control.mpi, control.comm
        self._own, self._joined = np.zeros(1, np.int8), np.zeros(1, np.int8)
        self._request: Any = None

    def ask(self, says_yes: bool) -> None:
        """See `Vote`."""
        self._own[0], number = says_yes, self._mpi.INT8_T
        self._request = self._comm.Iallreduce(
            [self._own, number], [self._joined, number], self._mpi.MAX
        )

    def answer(self) -> bool:
        """See `Vote`."""
        if self._request is None:
            return False
        self._request.Wait()
        self._request = None
        return bool(self._joined[0])


class TensorVote:
    """Over the communicator that moves the gradients."""

    def __init__(self, comm: Communicator) -> None:
        self._comm = comm
        self._flag = torch.zeros(1, device=comm.device)
        self._handle: Handle | None = None
        self._previous: tuple[Any, torch.Tensor] | None = None

    def ask(self, says_yes: bool) -> None:
        """See `Vote`."""
        self._flag.fill_(1.0 if says_yes else 0.0)
        self._handle = self._comm.allreduce_async(self._flag, "vote", "sum")

    def answer(self) -> bool:
        """See `Vote`; on CUDA that of the question before, so that the stream goes on."""
        if self._handle is None:
            return False
        self._handle.wait()
        self._handle = None
        if self._flag.device.type == "cpu":
            return bool(self._flag.item())
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        host = torch.empty(1, pin_memory=True)
        host.copy_(self._flag, non_blocking=True)
        event.record()
        previous, self._previous = self._previous, (event, host)
        if previous is None:
            return False
        previous[0].synchronize()
        return bool(previous[1].item())
