"""Losses and parameters that are no numbers: told with the samples of the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hpctrain.errors import NonFiniteLossError
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.task import Data, Position


class FiniteCheck:
    """Ends a training whose losses or parameters are not finite, before anything is saved."""

    def __init__(self, data: Data, checkpoints: CheckpointFolder) -> None:
        self._data, self._checkpoints = data, checkpoints

    def losses(
        self, losses: Mapping[str, torch.Tensor | float], at: Position, batch: Any = None
    ) -> None:
        """Look at the losses of one step, or at means over some.

        Raises:
            NonFiniteLossError: names the losses, and the samples where a batch is given.
        """
        bad = [key for key, value in losses.items() if not _is_finite(value)]
        if not bad:
            return
        names = [self._data.train.sample_name(i) for i in batch.ids] if batch else []
        where = f"; samples of the batch: {', '.join(names)}" if names else ""
        kept = self._checkpoints.names()
        raise NonFiniteLossError(
            f"epoch {at.epoch + 1}, step {at.step + 1}: "
            f"{', '.join(bad)} is not a finite number{where}; nothing was saved, "
            f"the newest checkpoint is {kept[-1] if kept else 'none'}; "
            "lower the learning rate, clip gradients, or set precision: float32"
        )

    def parameters(self, models: Mapping[str, nn.Module], at: Position) -> None:
        """Look at all parameters, and at buffers such as running means.

        Raises:
            NonFiniteLossError: names the first that is not finite.
        """
        kept = [t.detach() for m in models.values() for t in (*m.parameters(), *m.buffers())]
        if _have_finite_sums(kept):
            return
        for name, model in models.items():
            for key, value in (*model.named_parameters(), *model.named_buffers()):
                self.losses({f"parameter {name}.{key}": value.detach()}, at)


def _is_finite(value: torch.Tensor | float) -> bool:
    if isinstance(value, torch.Tensor):
        # a scalar is looked at in Python, a fifth of the time of a tensor operation
        return math.isfinite(value.item()) if value.ndim == 0 else bool(value.isfinite().all())
    return math.isfinite(value)


def _have_finite_sums(values: list[torch.Tensor]) -> bool:
    """True if no element can be anything but finite; a sum may overflow where none is.

    A fifteenth of the time of looking at each element, and one answer from the device for all.
    """
    return not values or bool(torch.stack([v.sum().float() for v in values]).isfinite().all())
