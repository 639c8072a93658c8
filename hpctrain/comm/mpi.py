"""Plain MPI through mpi4py: one thread a rank carries out the collectives in their order.

MPI libraries move data only inside of their calls, and Open MPI's non-blocking allreduce takes 2.7
times as long as its blocking one. So the thread that computes neither sends nor polls: a thread
beside it calls Allreduce, while the backward pass, which does not hold Python's lock, goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.comm.control import Control
from hpctrain.comm.mpi_buffer import Buffers
from hpctrain.comm.ranks import Ranks


class _Work:
    """One collective, done by the thread."""

    def __init__(self, call: Callable[[], None], finish: Callable[[], object] | None) -> None:
        self.call, self.finish = call, finish
        self.error: BaseException | None = None
        self.is_done = threading.Event()

    def wait(self) -> None:
        """Return when the tensor holds the result."""
        self.is_done.wait()
        if self.error is not None:
            raise self.error
        if self.finish is not None:
            self.finish()


class MpiCommunicator(Communicator):
    """Collectives of MPI on the memory of the tensors."""

    kind = "mpi"

    def __init__(self, ranks: Ranks, device: torch.device, control: Control) -> None:
        super().__init__(ranks, device, control)
        self._comm = control.mpi.COMM_WORLD.Dup()
        self._buffers = Buffers(control.mpi, self._comm, device)
        self._todo: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mpi", daemon=True)
        self._thread.start()

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        """See `Communicator`; `name` is not needed, the order of calls pairs them."""
        ready = _recorded(tensor)
        finish = (lambda: tensor.div_(self.world_size)) if op == "mean" else None

        def call() -> None:
            ready()
            self._buffers.allreduce(tensor, op)

        return self._put(_Work(call, finish))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """See `Communicator`."""
        found = list(tensors)
        ready = [_recorded(tensor) for tensor in found]

        def call() -> None:
            for tensor, is_there in zip(found, ready, strict=True):
                is_there()
                self._buffers.broadcast(tensor)

        self._put(_Work(call, None)).wait()

    def close(self) -> None:
        """End the thread, then MPI."""
        self._todo.put(None)
        self._thread.join()
        self._buffers.close()
        self._comm.Free()
        super().close()

    def _put(self, work: _Work) -> _Work:
        self._todo.put(work)
        return work

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            try:
                work.call()
            except BaseException as e:  # noqa: BLE001 - raised again where the result is waited for
                work.error = e
            work.is_done.set()


def _recorded(tensor: Tensor) -> Callable[[], object]:
    """A function that returns when what the stream does to the tensor now is done."""
    if not tensor.is_cuda:
        return lambda: None
    event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    return event.synchronize  # type: ignore[no-any-return]
