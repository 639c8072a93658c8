"""How MPI gets at the memory of a tensor, and adds up numbers that it has no type for."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm.mpi_library import loaded_libraries

_HALF = (torch.float16, torch.bfloat16)
_GPU_TRANSPORT = {"MPICH_GPU_SUPPORT_ENABLED": "1", "MV2_USE_CUDA": "1", "I_MPI_OFFLOAD": "1"}
"""Settings with which Cray MPICH, MVAPICH2 and Intel MPI take device pointers."""


class Buffers:
    """Sums, maxima and broadcasts of tensors in place; one thread calls them.

    CPU tensors are used where they are, and so are CUDA tensors if the MPI says that it takes
    them. Others, and those that are not contiguous, go through memory of the host, pinned for CUDA.
    float16 and bfloat16, which MPI has no type for, are joined by torch, which rounds each sum.
    """

    def __init__(self, mpi: Any, comm: Any, device: torch.device) -> None:
        self._mpi, self._comm = mpi, comm
        self.takes_gpu = device.type == "cuda" and takes_gpu()
        self._ops = {"sum": mpi.SUM, "mean": mpi.SUM, "max": mpi.MAX}
        self._half_ops = {
            (dtype, name): mpi.Op.Create(_joiner(dtype, join), commute=True)
            for dtype in _HALF
            for name, join in (("sum", torch.add), ("max", torch.maximum))
        }
        self._stream: Any = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def allreduce(self, tensor: Tensor, op: str) -> None:
        """Replace the tensor by its sum or maximum over all ranks."""
        if tensor.dtype in _HALF:
            join = self._half_ops[tensor.dtype, "max" if op == "max" else "sum"]
            self._on_host(tensor, lambda host: self._join_half(host, join))
            return
        self._where_allowed(
            tensor, lambda t: self._comm.Allreduce(self._mpi.IN_PLACE, _array(t), self._ops[op])
        )

    def broadcast(self, tensor: Tensor) -> None:
        """Overwrite the tensor with that of rank 0."""
        self._where_allowed(tensor, lambda t: self._comm.Bcast(_array(t.view(_same_size(t)))))

    def _join_half(self, host: Tensor, join: Any) -> None:
        words = [_array(host.view(torch.int16)), self._mpi.INT16_T]
        self._comm.Allreduce(self._mpi.IN_PLACE, words, join)

    def _where_allowed(self, tensor: Tensor, call: Callable[[Tensor], None]) -> None:
        if self.takes_gpu and tensor.is_cuda and tensor.is_contiguous():
            call(tensor)
        else:
            self._on_host(tensor, call)

    def _on_host(self, tensor: Tensor, call: Callable[[Tensor], None]) -> None:
        if tensor.device.type == "cpu" and tensor.is_contiguous():
            call(tensor)
        elif tensor.device.type == "cpu":
            copy = tensor.contiguous()
            call(copy)
            tensor.copy_(copy)
        else:
            self._through_pinned(tensor, call)

    def _through_pinned(self, tensor: Tensor, call: Callable[[Tensor], None]) -> None:
        """Copies run on a stream of their own, beside the backward pass.

        torch keeps pinned blocks for the next time. The caller has waited for the tensor's values,
        and waits again for the end of this thread's work, so both ends are in order.
        """
        with torch.cuda.stream(self._stream):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
            self._stream.synchronize()
            call(host)
            tensor.copy_(host, non_blocking=True)
            self._stream.synchronize()

    def close(self) -> None:
        """Free the operations."""
        for op in self._half_ops.values():
            op.Free()


def takes_gpu() -> bool:
    """Whether the MPI library says that it reads and writes device memory."""
    if any(os.environ.get(name) == value for name, value in _GPU_TRANSPORT.items()):
        return True
    query = "MPIX_Query_rocm_support" if torch.version.hip else "MPIX_Query_cuda_support"
    for path in loaded_libraries():
        with suppress(OSError, AttributeError):
            return bool(getattr(ctypes.CDLL(str(path)), query)())
    return False


def _joiner(dtype: torch.dtype, join: Callable[..., Tensor]) -> Callable[[Any, Any, Any], None]:
    def call(own: Any, total: Any, _: Any) -> None:
        result = torch.frombuffer(total, dtype=dtype)
        join(result, torch.frombuffer(own, dtype=dtype), out=result)

    return call


def _array(tensor: Tensor) -> Any:
    """What mpi4py takes: numpy's view of host memory; CUDA tensors describe themselves."""
    return tensor.detach().numpy() if tensor.device.type == "cpu" else tensor.detach()


def _same_size(tensor: Tensor) -> torch.dtype:
    """A type that both numpy and MPI have, as wide as the tensor's."""
    return {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}[
        tensor.element_size()
    ]
