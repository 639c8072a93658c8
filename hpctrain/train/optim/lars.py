"""LARS: layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017, arXiv 1708.03888)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class Lars(Optimizer):
    """SGD with momentum whose step of each layer is scaled by the norm of its weights.

    Algorithm 1 of the paper: with g the gradient, b the weight decay and w the weights of a layer,
    the local rate is trust_coefficient |w| / (|g| + b |w|), and the momentum adds up
    rate * local rate * (g + b w). A group with `is_adapted: False` takes the plain step, as VICReg
    (Bardes et al. 2022) does for biases and norms. Where |w| or |g| is 0 the local rate is 1.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
    ) -> None:
        """Set the options of all groups.

        Args:
            params: parameters or groups of them.
            lr: rate of the whole.
            momentum: share of the last step in the next.
            weight_decay: b above.
            trust_coefficient: the paper's eta.
        """
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "is_adapted": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step once; a closure is not called."""
        for group in self.param_groups:
            decay = group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                step = p.grad.add(p, alpha=decay)
                if group["is_adapted"]:
                    weight, slope = torch.linalg.vector_norm(p), torch.linalg.vector_norm(p.grad)
                    local = group["trust_coefficient"] * weight / (slope + decay * weight)
                    # a tensor, not a number: no step waits for the device
                    step.mul_(torch.where((weight > 0) & (slope > 0), local, 1.0))
                step.mul_(group["lr"])
                if group["momentum"]:
                    state = self.state[p]
                    if "momentum_buffer" in state:
                        step = state["momentum_buffer"].mul_(group["momentum"]).add_(step)
                    else:
                        state["momentum_buffer"] = step
                p.sub_(step)
