"""Exponential moving average of weights (Polyak & Juditsky 1992, in the form of Adam-era GANs)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.averaging import Ema as Settings
from hpctrain.errors import CheckpointError, ConfigError


class Ema:
    """Averages in float32 of the parameters of some networks, and copies of their buffers.

    After step n (from 0) the average a becomes d a + (1 - d) w with d = decay, or with warm-up
    min(decay, (1 + n) / (10 + n)). It begins as a copy of the weights. All ranks compute the same.
    """

    def __init__(self, settings: Settings, models: Mapping[str, nn.Module]) -> None:
        """Copy the weights as they are.

        Raises:
            ConfigError: there is no network of a name.
        """
        unknown = [name for name in settings.models if name not in models]
        if unknown:
            raise ConfigError(
                f"train.ema.models: unknown {', '.join(unknown)}; choose from {', '.join(models)}"
            )
        self.settings = settings
        self.num_steps = 0
        self._models = {name: models[name] for name in settings.models}
        self._averages = {name: _weights(m, is_copied=True) for name, m in self._models.items()}

    @property
    def decay(self) -> float:
        """Share that the next step keeps."""
        if not self.settings.warmup:
            return self.settings.decay
        return min(self.settings.decay, (1 + self.num_steps) / (10 + self.num_steps))

    @torch.no_grad()
    def step(self) -> None:
        """Take in the weights after a step."""
        new = 1 - self.decay
        for name, model in self._models.items():
            averages, buffers = self._averages[name], dict(model.named_buffers())
            pairs = [(averages[k], w) for k, w in _weights(model).items() if k not in buffers]
            torch._foreach_lerp_([a for a, _ in pairs], [w.float() for _, w in pairs], new)
            for key, value in buffers.items():
                averages[key].copy_(value)
        self.num_steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Around what is to see the averages; the weights come back bit by bit."""
        own = {name: _weights(m, is_copied=True) for name, m in self._models.items()}
        self._put(self._averages)
        try:
            yield
        finally:
            self._put(own)

    def for_validation(self) -> Any:
        """`applied`, if the settings want it."""
        return self.applied() if self.settings.validate_with else _nothing()

    def save(self) -> dict[str, Any]:
        """State for a checkpoint; its tensors are those that go on changing."""
        return {"num_steps": self.num_steps, "models": self._averages}

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Put back what `save` returned; begin anew where the run had no average so far.

        Raises:
            CheckpointError: the averages are those of other networks.
        """
        if saved is None:
            self._averages = {n: _weights(m, is_copied=True) for n, m in self._models.items()}
            return
        for name, averages in self._averages.items():
            found = saved["models"].get(name, {})
            if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in averages.items()}:
                raise CheckpointError(
                    f"the checkpoint holds no average of this {name}; put train.ema back, or "
                    "render a new run"
                )
            for key, value in found.items():
                averages[key].copy_(value)
        self.num_steps = saved["num_steps"]

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, model in self._models.items():
            put_averages(model, weights[name])


def averages_of(state: Mapping[str, Any], name: str) -> Mapping[str, Tensor] | None:
    """The averages of a network in a checkpoint; None where the run keeps none of it."""
    averages: Mapping[str, Tensor] | None = ((state.get("ema") or {}).get("models") or {}).get(name)
    return averages or None


@torch.no_grad()
def put_averages(network: nn.Module, averages: Mapping[str, Tensor]) -> None:
    """Take averages as the weights of a network.

    Raises:
        KeyError: they are of another network.
        RuntimeError: likewise.
    """
    for key, value in _weights(network).items():
        value.copy_(averages[key])


def _weights(model: nn.Module, *, is_copied: bool = False) -> dict[str, Tensor]:
    """Parameters and buffers by name; copies of floating-point ones are float32."""
    found = {k: t.detach() for k, t in (*model.named_parameters(), *model.named_buffers())}
    if not is_copied:
        return found
    return {k: t.float().clone() if t.is_floating_point() else t.clone() for k, t in found.items()}


@contextmanager
def _nothing() -> Iterator[None]:
    yield
