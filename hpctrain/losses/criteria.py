"""Pixel losses by name: shorthands, losses of `torch.nn`, and classes of the user's code."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.user_code import find_class
from hpctrain.errors import ConfigError

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Takes (output, target), both (B, C, D, H, W), returns a scalar."""

SHORTHANDS = {"mse": "MSELoss", "l1": "L1Loss", "huber": "HuberLoss"}


def criterion(name: str) -> Criterion:
    """Make a pixel loss.

    Args:
        name: mse, l1, huber, a loss class of torch.nn such as SmoothL1Loss, or `module.Class` of
            code that python finds; the class is made without arguments.

    Raises:
        ConfigError: nothing of that name, or it does not compare two fields.
    """
    if "." in name:
        return _make(name, find_class(name, "criterion"))
    losses = sorted(n for n in dir(nn) if n.endswith("Loss"))
    wanted = SHORTHANDS.get(name, name)
    if wanted not in losses:
        raise ConfigError(
            f"criterion: {name!r} is unknown; choose mse, l1, huber, a loss of torch.nn, "
            f"or module.Class of your own code{_nearest(name, [*SHORTHANDS, *losses])}"
        )
    made = _make(name, getattr(nn, wanted))
    _probe(name, made)
    return made


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _make(name: str, target: Any) -> Criterion:
    try:
        made = target()
    except TypeError as e:
        raise ConfigError(f"criterion: {name!r} cannot be made without arguments: {e}") from e
    if not callable(made):
        raise ConfigError(f"criterion: {name!r} makes a {type(made).__name__}, not a function")
    return made  # type: ignore[no-any-return]


def _probe(name: str, made: Criterion) -> None:
    """Refuse losses of torch.nn that compare labels, sequences or triplets."""
    fields = torch.full((2, 1, 2, 2, 2), 0.5)
    try:
        fits = made(fields, fields).ndim == 0
    except (TypeError, RuntimeError, ValueError, IndexError):
        fits = False
    if not fits:
        raise ConfigError(
            f"criterion: torch.nn.{type(made).__name__} does not compare two fields of one shape; "
            "choose mse, l1, huber or SmoothL1Loss"
        )
