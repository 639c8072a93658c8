"""One rank: every collective is the identity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from hpctrain.comm.base import Communicator, Done, Handle, Op


class SingleCommunicator(Communicator):
    """Collectives of a world of one."""

    kind = "single"

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        """Leave the tensor as it is."""
        return Done()

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Leave the tensors as they are."""

    def allgather_object(self, value: Any) -> list[Any]:
        """Return the only value."""
        return [value]
