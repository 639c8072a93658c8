"""Losses and parameters that are no numbers: told with the samples of the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hpctrain.errors import NonFiniteLossError
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.task import Data, Position


class FiniteCheck:
    """Ends a training whose losses or parameters are not finite, before anything is saved."""

    def __init__(
        self, data: Data, checkpoints: CheckpointFolder, steps_in: Callable[[int], int]
    ) -> None:
        """Set up.

        Args:
            data: whose samples are named.
            checkpoints: of which the newest is named.
            steps_in: how many steps an epoch has.
        """
        self._data, self._checkpoints, self._steps_in = data, checkpoints, steps_in

    def losses(self, losses: Mapping[str, torch.Tensor], at: Position, batch: Any = None) -> None:
        """Look at the losses of one step, which is not counted yet.

        Raises:
            NonFiniteLossError: names the losses, and the samples where a batch is given.
        """
        names = [self._data.train_in(at.epoch).sample_name(i) for i in batch.ids] if batch else []
        where = f"; samples of the batch: {', '.join(names)}" if names else ""
        self._look(losses, f"epoch {at.epoch + 1}, step {at.step + 1}", where)

    def means(self, losses: Mapping[str, float], at: Position) -> None:
        """Look at means over the steps since the last log line.

        Raises:
            NonFiniteLossError: names the losses, and the last step done.
        """
        self._look(losses, self._by(at))

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
                self._look({f"parameter {name}.{key}": value.detach()}, self._by(at))

    def _by(self, at: Position) -> str:
        """The last step done."""
        if not at.global_step:
            return "before the first step"
        if at.step:
            return f"by epoch {at.epoch + 1}, step {at.step}"
        return f"by epoch {at.epoch}, step {self._steps_in(at.epoch - 1)}"

    def _look(self, values: Mapping[str, torch.Tensor | float], when: str, where: str = "") -> None:
        bad = [key for key, value in values.items() if not _is_finite(value)]
        if not bad:
            return
        kept = self._checkpoints.names()
        raise NonFiniteLossError(
            f"{when}: {', '.join(bad)} is not a finite number{where}; nothing was saved, "
            f"the newest checkpoint is {kept[-1] if kept else 'none'}; "
            "lower the learning rate, clip gradients, or set precision: float32"
        )


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
