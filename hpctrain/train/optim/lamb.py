"""LAMB: Adam with layer-wise scaling (You et al. 2020, arXiv 1904.00962)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class Lamb(Optimizer):
    """Adam whose step of each layer has the norm of the layer's weights.

    Algorithm 2 of the paper, with the identity as the scaling function phi: with r Adam's ratio of
    corrected moments and u = r + weight_decay * w, a layer moves by lr |w| / |u| * u. A group with
    `is_adapted: False` moves by lr u. Where |w| or |u| is 0 their ratio is taken as 1.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        """Set the options of all groups.

        Args:
            params: parameters or groups of them.
            lr: rate.
            betas: decay rates of the two moments.
            eps: added to the denominator.
            weight_decay: share of the weights in the step.
        """
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "is_adapted": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step once; a closure is not called."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                step = self._ratio(p, group).add_(p, alpha=group["weight_decay"])
                if group["is_adapted"]:
                    weight, size = torch.linalg.vector_norm(p), torch.linalg.vector_norm(step)
                    # a tensor, not a number: no step waits for the device
                    step.mul_(torch.where((weight > 0) & (size > 0), weight / size, 1.0))
                p.sub_(step, alpha=group["lr"])

    def _ratio(self, p: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        """Adam's step before the rate: first moment over the root of the second, both corrected."""
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros(())  # stays on the CPU, as that of torch's Adam
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        state["exp_avg"].lerp_(p.grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        steps = float(state["step"])
        root = state["exp_avg_sq"].sqrt().div_(math.sqrt(1 - beta2**steps)).add_(group["eps"])
        ratio: torch.Tensor = state["exp_avg"].div(root).div_(1 - beta1**steps)
        return ratio
