"""Optimizers by name: classes of torch.optim, or of the user's own code."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from hpctrain.config.training import Optimizer
from hpctrain.errors import ConfigError


def build_optimizer(
    settings: Optimizer, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Make the optimizer that a job file names, for the parameters that are trained.

    Raises:
        ConfigError: there is no such class, or it does not take what the job file sets.
    """
    target = _find(settings.name)
    known = inspect.signature(target).parameters
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if "betas" in known:
        options["betas"] = settings.betas
    elif "betas" in settings.model_fields_set:
        raise ConfigError(f"optimizer: {settings.name} takes no betas; remove them")
    if "weight_decay" not in known:
        if settings.weight_decay:
            raise ConfigError(f"optimizer: {settings.name} takes no weight_decay; remove it")
        del options["weight_decay"]
    trained = [p for p in parameters if p.requires_grad]
    try:
        made: torch.optim.Optimizer = target(trained, **options)
    except (TypeError, ValueError) as e:
        raise ConfigError(f"optimizer: {settings.name} cannot be made: {e}") from e
    return made


def _find(name: str) -> Any:
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
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"optimizer: {name!r} is not in torch.optim; choose from {', '.join(sorted(names))}, "
            f"or module.Class of your own code{hint}"
        )
    return getattr(torch.optim, name)
