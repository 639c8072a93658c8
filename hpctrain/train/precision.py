"""Precision and memory layout: asked for, or found by a short probe on this device."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from hpctrain.config.training import Training
from hpctrain.train.layout import lay_channels_last
from hpctrain.train.shallow import guard_shallow

_GAIN = 0.95
"""Another choice must need less than this share of plain float32's time, else it buys nothing."""

_OBVIOUS = 0.6
"""Share of float32's time at which another has won at once."""

_CLEAR = 1.3
"""A choice whose best time is this many times the best one's is behind."""

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How models compute; part of a run's state, so that a resumed run computes alike."""

    name: str
    reason: str
    memory_format: str = "contiguous"

    @property
    def is_float16(self) -> bool:
        """True for float16, whose losses must be scaled."""
        return self.name == "float16"

    def autocast(self, device: torch.device) -> Callable[[], AbstractContextManager[None]] | None:
        """A fresh autocast context for each use, or None for float32."""
        if self.name not in _DTYPES:
            return None
        return partial(torch.autocast, device.type, _DTYPES[self.name])

    def apply_layout(self, models: Mapping[str, nn.Module]) -> None:
        """Lay networks out with channels last, if so chosen, and guard what bfloat16 gets wrong.

        See `lay_channels_last` and `guard_shallow`.
        """
        if self.name == "bfloat16":
            for model in models.values():
                guard_shallow(model)
        if self.memory_format == "channels_last":
            for model in models.values():
                lay_channels_last(model)

    def __str__(self) -> str:
        layout = self.memory_format.replace("_", " ")
        return self.name if layout == "contiguous" else f"{self.name}, {layout}"


def candidates(settings: Training) -> list[Precision]:
    """What may be chosen; more than one only where a measurement is to decide."""
    names, layouts = [settings.precision], [settings.memory_format]
    if settings.precision == "auto":
        if settings.deterministic:
            layout = "contiguous" if settings.memory_format == "auto" else settings.memory_format
            reason = "deterministic: no measurement may decide"
            return [Precision("float32", reason, layout)]
        names = ["float32", "bfloat16"]
        if settings.memory_format == "auto":
            layouts = ["contiguous", "channels_last"]
    elif settings.memory_format == "auto":
        # kernels of both half precisions want channels last
        layouts = ["contiguous" if settings.precision == "float32" else "channels_last"]
    return [Precision(name, "asked for", layout) for layout in layouts for name in names]


def try_out(
    run_step: Callable[[Precision], None], device: torch.device, choices: Sequence[Precision]
) -> dict[Precision, RuntimeError]:
    """Run each choice once, which also warms it up; returns the errors of those that fail.

    One may need more memory than there is, or an operation that its type does not have.
    """
    errors = {}
    for choice in choices:
        try:
            run_step(choice)
            _wait_for(device)
        except RuntimeError as e:
            errors[choice] = e
            traceback.clear_frames(e.__traceback__)  # they hold the step's tensors
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return errors


def probe(
    run_step: Callable[[Precision], None],
    device: torch.device,
    choices: Sequence[Precision],
    rounds: int = 4,
) -> Precision:
    """Time the choices on a step of the real model and take the fastest.

    Each is judged by its best time: whatever else runs on the machine only ever adds to a time.

    Args:
        run_step: one forward and backward pass in the given precision; must leave no trace.
        device: where it runs.
        choices: what to compare, warmed up by `try_out`; the first one stays unless another is
            clearly faster.
        rounds: timed repetitions of each at most. After two, what is clearly behind is left out;
            one is enough where a choice is clearly ahead of all and far ahead of the first, as no
            disturbance makes it.
    """
    first = choices[0]
    best = dict.fromkeys(choices, math.inf)
    running, fastest = list(choices), first
    for round_ in range(1, rounds + 1):
        for choice in running:
            begin = time.perf_counter()
            run_step(choice)
            _wait_for(device)
            best[choice] = min(best[choice], time.perf_counter() - begin)
        fastest = min(best, key=lambda choice: best[choice])
        near = [c for c in running if best[c] < _CLEAR * best[fastest]]
        if near == [fastest] and (round_ > 1 or best[fastest] < _OBVIOUS * best[first]):
            break
        if round_ > 1:
            running = near
    chosen = fastest if best[fastest] < _GAIN * best[first] else first
    measured = "; ".join(f"{choice} {1e3 * seconds:.1f} ms" for choice, seconds in best.items())
    return replace(chosen, reason=f"probe on {device.type}: {measured}")


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
