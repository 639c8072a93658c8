"""What every communicator can do; the trainer and the tasks know nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from hpctrain.comm.control import Control
from hpctrain.comm.ranks import Ranks
from hpctrain.comm.vote import ControlVote, TensorVote, Vote

Op = Literal["mean", "sum", "max", "adasum"]


class Handle(Protocol):
    """A collective under way."""

    def wait(self) -> None:
        """Return when the tensor that was handed in holds the result."""


class Done:
    """The handle of a collective that needs no waiting."""

    def wait(self) -> None:
        """Return at once."""


class Communicator(ABC):
    """Collectives over all ranks of the job.

    Every rank calls the same collectives in the same order. Tensors are changed in place.
    """

    kind: str

    def __init__(self, ranks: Ranks, device: torch.device, control: Control | None = None) -> None:
        self.ranks = ranks
        self.device = device
        self.control = control
        """MPI for small values, where there is one; see control.py."""

    def __deepcopy__(self, memo: object) -> Communicator:
        """A copy of a module that communicates talks to the same ranks."""
        return self

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.ranks.rank

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.ranks.world_size

    @abstractmethod
    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        """Start to replace `tensor` by its mean, sum or maximum over all ranks.

        Args:
            tensor: any shape, on the communicator's device.
            name: the same on every rank, and of no other collective under way.
            op: how values of the ranks are joined; adasum only where `has_adasum`.
        """

    @abstractmethod
    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors with those of rank 0."""

    def allgather_object(self, value: Any) -> list[Any]:
        """Picklable values of all ranks, in the order of ranks."""
        return self.control.allgather(value) if self.control else self._allgather_object(value)

    def _allgather_object(self, value: Any) -> list[Any]:
        """The same where there is no control line; not abstract, as `mpi` always has one.

        Raises:
            NotImplementedError: a communicator without either, which is a mistake of its author.
        """
        raise NotImplementedError(f"{self.kind} has no way of its own")

    def allreduce(self, tensor: Tensor, name: str, op: Op = "mean") -> Tensor:
        """Do the same as `allreduce_async` and wait; returns `tensor`."""
        self.allreduce_async(tensor, name, op).wait()
        return tensor

    def broadcast_object(self, value: Any) -> Any:
        """Rank 0's value."""
        if self.control:
            return self.control.broadcast(value)
        return self.allgather_object(value if self.rank == 0 else None)[0]

    def barrier(self) -> None:
        """Return when all ranks have called."""
        self.allgather_object(None)

    def vote(self) -> Vote:
        """A question that goes round while a step computes: does any rank say yes."""
        return ControlVote(self.control) if self.control else TensorVote(self)

    def close(self) -> None:
        """Leave in order; no collective may follow."""
        if self.control:
            self.control.close()
