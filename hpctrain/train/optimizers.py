"""Optimizers by name: ours, classes of torch.optim, or of the user's own code."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from hpctrain.config.optimizer import Optimizer
from hpctrain.errors import ConfigError
from hpctrain.train.optim import Lamb, Lars

_OWN: dict[str, Any] = {"LARS": Lars, "LAMB": Lamb}
OPTIONS = frozenset(
    (
        *("lr", "betas", "weight_decay", "momentum", "nesterov", "eps", "trust_coefficient"),
        *("foreach", "fused", "is_adapted"),
    )
)
"""What a job file sets in the groups of an optimizer."""


def build_optimizer(
    settings: Optimizer, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Make the optimizer that a job file names, for the parameters that are trained.

    Raises:
        ConfigError: there is no such class, or it does not take what the job file sets.
    """
    target = _find(settings.name)
    trained = [p for p in parameters if p.requires_grad]
    options = _options(settings, set(inspect.signature(target).parameters))
    if settings.implementation == "auto" and _is_faster_fused(target, trained):
        options["fused"] = True
    groups: list[Any] = _groups(settings, trained) if settings.exclude_1d else trained
    try:
        made: torch.optim.Optimizer = target(groups, **options)
    except (TypeError, ValueError, RuntimeError) as e:
        raise ConfigError(f"optimizer: {settings.name} cannot be made: {e}") from e
    return made


def _options(settings: Optimizer, known: set[str]) -> dict[str, Any]:
    """Arguments of the class; what is given must be among those it knows."""
    how = settings.implementation
    values: dict[str, Any] = {
        "betas": settings.betas,
        "weight_decay": settings.weight_decay,
        "momentum": settings.momentum,
        "nesterov": settings.nesterov or None,
        "eps": settings.eps,
        "trust_coefficient": settings.trust_coefficient,
        "foreach": {"foreach": True, "for_loop": False}.get(how),
        "fused": {"fused": True, "for_loop": False}.get(how) if "fused" in known else None,
    }
    given = settings.given()
    if how == "fused" and "fused" not in known:
        raise ConfigError(f"optimizer: {settings.name} has no fused implementation; choose auto")
    for name in values:
        if name in given and name not in known:
            raise ConfigError(f"optimizer: {settings.name} takes no {name}; remove it")
    if "weight_decay" not in known and settings.exclude_1d:
        raise ConfigError(f"optimizer: {settings.name} takes no weight_decay; remove exclude_1d")
    taken = {n: v for n, v in values.items() if n in known and v is not None}
    return {"lr": settings.learning_rate, **taken}


def _is_faster_fused(target: Any, parameters: list[nn.Parameter]) -> bool:
    """One pass over the memory of a CPU instead of a dozen; torch itself never chooses that.

    Not SGD: torch 2.13's fused kernel fails where the gradient of a parameter with momentum comes
    late, as of DINO's frozen layer, and reads memory that nobody wrote after a skipped first step.
    """
    return target in (torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad) and all(
        p.device.type == "cpu" and p.is_floating_point() for p in parameters
    )


def _groups(settings: Optimizer, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Matrices and kernels, and apart from them what is 1-d: biases and scales of norms."""
    plain: dict[str, Any] = {"weight_decay": 0.0}
    if settings.name in _OWN:
        plain["is_adapted"] = False
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], **plain},
    ]
    return [group for group in groups if group["params"]]


def _find(name: str) -> Any:
    if name in _OWN:
        return _OWN[name]
    if "." in name:
        module_name, _, class_name = name.rpartition(".")
        try:
            return getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError) as e:
            raise ConfigError(
                f"optimizer: {name!r} cannot be imported ({e}); list its folder under code:"
            ) from e
    names = [
        n
        for n, value in vars(torch.optim).items()
        if inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and n not in ("Optimizer", "LBFGS")  # LBFGS wants a closure, which no step here has
    ]
    if name not in names:
        near = difflib.get_close_matches(name, [*_OWN, *names], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"optimizer: {name!r} is not in torch.optim; choose from LARS, LAMB, "
            f"{', '.join(sorted(names))}, or module.Class of your own code{hint}"
        )
    return getattr(torch.optim, name)
