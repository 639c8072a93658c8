"""Losses of float16 are scaled up, so that small gradients do not vanish (Micikevicius 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LossScalers:
    """One scale an optimizer; a step whose gradients overflow is left out and the scale halved.

    Gradients are looked at after they were averaged over the ranks, where an overflow of one rank
    is one of all, so that all ranks leave out the same steps.
    """

    def __init__(self, names: Iterable[str], device: torch.device) -> None:
        self._scalers = {name: torch.amp.GradScaler(device.type) for name in names}
        self.skipped = dict.fromkeys(self._scalers, 0)
        """Steps that were left out, by optimizer."""

    def scale(self, name: str, loss: Tensor) -> Tensor:
        """The loss times the scale."""
        scaled: Tensor = self._scalers[name].scale(loss)
        return scaled

    def unscale(self, name: str, optimizer: Optimizer) -> None:
        """Take the scale out of the gradients, before they are clipped."""
        self._scalers[name].unscale_(optimizer)

    def step(self, name: str, optimizer: Optimizer) -> None:
        """Step, or leave the step out, and set the next scale."""
        scaler = self._scalers[name]
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        self.skipped[name] += scaler.get_scale() < before

    def now(self) -> dict[str, float]:
        """For the log: scale and steps left out so far, by optimizer."""
        scales = {f"loss_scale/{name}": s.get_scale() for name, s in self._scalers.items()}
        return {**scales, **{f"skipped_steps/{name}": n for name, n in self.skipped.items()}}

    def save(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {
            name: {**scaler.state_dict(), "skipped": self.skipped[name]}
            for name, scaler in self._scalers.items()
        }

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Put back what `save` returned; nothing where the run had another precision."""
        for name, values in (saved or {}).items():
            state = dict(values)
            self.skipped[name] = state.pop("skipped")
            self._scalers[name].load_state_dict(state)
