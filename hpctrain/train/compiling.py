"""torch.compile, where it is asked for and a compiler is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError


def compile_models(
    models: Mapping[str, nn.Module], names: Iterable[str], device: torch.device
) -> None:
    """Compile networks in place; names of parameters stay as they are.

    Raises:
        ConfigError: nothing can be compiled here.
    """
    from torch._inductor import config as inductor

    # its helper processes are forked, which MPI does not bear
    inductor.compile_threads = 1
    _try(device)
    for name in names:
        # fixed shapes: those of a batch are, but for a short last one
        models[name].compile(dynamic=False)


def _try(device: torch.device) -> None:
    """Compile one line, to fail before the training and in one sentence."""

    def double(x: Tensor) -> Tensor:
        return 2 * x + 1

    try:
        torch.compile(double)(torch.ones(3, device=device))
    except Exception as e:  # noqa: BLE001 - whatever the compilers raise
        text = str(e).strip() or type(e).__name__
        raise ConfigError(
            f"train.compile: torch.compile does not work here ({text.splitlines()[0]}); "
            "load a C++ compiler (on GPUs also Triton), or set compile: false"
        ) from e
