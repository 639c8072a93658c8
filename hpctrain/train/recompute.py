"""Activation checkpointing: blocks forget what the backward pass would need, and compute it again.

Chen et al. 2016 (arXiv 1604.06174). A network takes part by a method `checkpointed_blocks`, which
returns its blocks: modules called with tensors, and perhaps with a source of noise. A source whose
draws go on from call to call has `state` and `set_state`, so that the second computation draws
what the first drew; torch itself puts its global generators back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from types import MethodType
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hpctrain.errors import ConfigError
from hpctrain.losses import SlopeMode, active_modes


@runtime_checkable
class Blocks(Protocol):
    """A network that names its blocks."""

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Modules whose activations may be forgotten, each by itself."""


@runtime_checkable
class Draws(Protocol):
    """A source of random numbers with a position."""

    def state(self) -> Any:
        """Where it is."""

    def set_state(self, state: Any) -> None:
        """Go there."""


def checkpoint_activations(models: Mapping[str, nn.Module]) -> None:
    """Let the blocks of all networks compute twice.

    Raises:
        ConfigError: no network names any.
    """
    blocks = [b for m in models.values() if isinstance(m, Blocks) for b in m.checkpointed_blocks()]
    if not blocks:
        raise ConfigError(
            "train.activation_checkpointing: none of the networks "
            f"({', '.join(models)}) names blocks by a method checkpointed_blocks; set it to false"
        )
    for block in blocks:
        # bound to the block, so that a copy of the network calls its own blocks
        block.forward = MethodType(_forward, block)


def _forward(block: nn.Module, *args: Any) -> Any:
    own = MethodType(type(block).forward, block)
    if not torch.is_grad_enabled():
        return own(*args)
    sources = [arg for arg in args if isinstance(arg, Draws)]
    states = [source.state() for source in sources]

    modes = active_modes()

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _Replayed(sources, states, modes)

    return checkpoint(own, *args, use_reentrant=False, context_fn=contexts)


class _Replayed:
    """Sources and modes as they were; entered again where a graph is gone through twice."""

    def __init__(
        self, sources: Sequence[Draws], states: Sequence[Any], modes: Sequence[SlopeMode]
    ) -> None:
        self._sources, self._states, self._modes = sources, states, modes
        self._now: list[Any] = []
        self._entered = ExitStack()

    def __enter__(self) -> None:
        self._now = [source.state() for source in self._sources]
        self._put(self._states)
        for mode in self._modes:
            self._entered.enter_context(mode)

    def __exit__(self, *error: object) -> None:
        self._entered.close()
        self._put(self._now)

    def _put(self, states: Sequence[Any]) -> None:
        for source, state in zip(self._sources, states, strict=True):
            source.set_state(state)
