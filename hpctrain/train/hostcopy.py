"""Copies of a training's state in host memory, whose buffers are used again and again."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor


class HostCopy:
    """Copies nested dicts, lists and tuples; tensors go into buffers kept for the next time.

    Fresh memory costs more than the copy itself: the kernel hands it out page by page. So a buffer
    is made once for each tensor, known by its place in the structure.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._has_queued = False
        self._event: Any = None

    def prepare(self, content: Any) -> None:
        """Make the buffers beforehand; reads the tensors' shapes only."""
        self._walk(content, "", is_filled=False)

    def take(self, content: Any) -> Any:
        """Copy the structure; whoever reads the copy calls `wait` first.

        Copies from a CUDA device into pinned memory are only queued, so the loop goes on at once.
        They are queued on the current stream: the next step changes the parameters in place, and
        would have to wait for another stream's copies anyway.
        """
        self._has_queued, self._event = False, None
        copied = self._walk(content, "", is_filled=True)
        if self._has_queued:
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        return copied

    def wait(self) -> None:
        """Return when the copies are there; from any thread."""
        if self._event is not None:
            self._event.synchronize()

    def _walk(self, value: Any, place: str, *, is_filled: bool) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value.detach(), place, is_filled=is_filled)
        if isinstance(value, dict):
            copied = copy.copy(value)  # a state_dict carries the versions of its modules
            for key, inner in value.items():
                copied[key] = self._walk(inner, f"{place}/{key}", is_filled=is_filled)
            return copied
        if type(value) in (list, tuple):
            inner = (
                self._walk(item, f"{place}/{i}", is_filled=is_filled)
                if isinstance(item, (Tensor, dict, list, tuple))
                else item
                for i, item in enumerate(value)
            )
            return type(value)(inner)
        return value

    def _tensor(self, tensor: Tensor, place: str, *, is_filled: bool) -> Tensor:
        buffer = self._buffers.get(place)
        if buffer is None or not _is_alike(buffer, tensor):
            buffer = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
            self._buffers[place] = buffer.zero_()  # touched, so that the memory is really there
        if is_filled:
            buffer.copy_(tensor, non_blocking=True)
            self._has_queued = self._has_queued or tensor.is_cuda
        return buffer


def _is_alike(buffer: Tensor, tensor: Tensor) -> bool:
    return (buffer.shape, buffer.dtype, buffer.is_pinned(), buffer.stride()) == (
        tensor.shape,
        tensor.dtype,
        tensor.is_cuda,
        tensor.stride(),
    )
