"""What a network costs: parameters, arithmetic and memory, counted without computing anything.

The forward and backward passes run on torch's meta device, where tensors have shapes and no
numbers: arithmetic is counted operation by operation, and memory by what autograd keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

BYTES = 4
"""Of a number in float32."""
STATE = 4
"""Numbers a trained parameter: itself, its gradient, and Adam's two moments."""


@dataclass(frozen=True)
class Cost:
    """Of one network and one sample, in float32."""

    parameters: int
    """All of them."""
    state_bytes: int
    """Weights, and for those that train gradient and Adam's moments."""
    forward_flop: int
    """Floating-point operations of one forward pass; a multiplication and an addition are two."""
    training_flop: int
    """Of forward and backward together."""
    kept_bytes: int
    """What autograd keeps of the forward pass for the backward pass."""
    output: tuple[int, ...]
    """Shape of the output, without the batch."""


def cost(
    network: nn.Module, shape: Sequence[int], call: Callable[[nn.Module, Tensor], Tensor]
) -> Cost:
    """Count what one sample costs.

    Args:
        network: on the meta device.
        shape: of the input without the batch, (C, ...).
        call: calls the network with a field (1, C, ...).
    """
    x = torch.empty(1, *shape, device="meta")
    own = {p.untyped_storage()._cdata for p in network.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other gets its address
        return tensor

    forward, backward = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with forward:
            y = call(network, x)
        with backward:
            y.sum().backward()  # type: ignore[no-untyped-call]
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    parameters = sum(p.numel() for p in network.parameters())
    done = forward.get_total_flops()
    return Cost(
        parameters,
        BYTES * (parameters + (STATE - 1) * trained),
        done,
        done + backward.get_total_flops(),
        sum(storage.nbytes() for storage in kept.values()),
        tuple(y.shape[1:]),
    )
