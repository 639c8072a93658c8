"""Networks that evaluate for a while, between steps of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(models: Mapping[str, nn.Module]) -> Iterator[None]:
    """Around what judges networks: running means stay, Dropout draws nothing.

    Afterwards each module is in its own mode again, so that one which was frozen stays so.
    """
    modes = [(m, m.training) for model in models.values() for m in model.modules()]
    try:
        for model in models.values():
            model.eval()
        yield
    finally:
        for model in models.values():
            model.train()  # for layers that fold their weights in `eval` and unfold them here
        for module, mode in modes:
            if module.training != mode:
                module.train(mode)
        for module, mode in modes:
            module.training = mode  # also where two others share a module
