"""Channels last: weights and fields in the order in which many kernels are fastest."""

from __future__ import annotations

from typing import Any

from torch import Tensor, channels_last, channels_last_3d, nn

_CHANNELS_LAST = {4: channels_last, 5: channels_last_3d}
_KNOWN = ("hpctrain", "torch")


def lay_channels_last(network: nn.Module) -> None:
    """Lay weights of 2D and 3D convolutions, and a network's fields, out with channels last.

    Fields, too: the weights of a kernel of one cell look the same in either layout, so that a
    network that begins with one would go on in that of the field.
    """
    weights = [p for p in network.parameters() if p.ndim in _CHANNELS_LAST]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=_CHANNELS_LAST[weight.ndim])
    if weights:
        network.register_forward_pre_hook(_with_channels_last)


def surely_bears_channels_last(network: nn.Module) -> bool:
    """Whether a network is of our modules and PyTorch's only, which work in any layout.

    Others may take a `view` of a field, for which its cells must lie in PyTorch's own order.
    """
    return all(type(m).__module__.split(".")[0] in _KNOWN for m in network.modules())


def is_of_layout(why: str) -> bool:
    """Whether this message of PyTorch is about a `view` that a layout does not allow."""
    return "view size is not compatible" in why


def _with_channels_last(model: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fields among a network's arguments, with channels last."""
    return tuple(
        x.contiguous(memory_format=_CHANNELS_LAST[x.ndim])
        if isinstance(x, Tensor) and x.ndim in _CHANNELS_LAST
        else x
        for x in args
    )
