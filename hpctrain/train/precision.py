"""Precision and memory layout: asked for, or found by a short probe on this device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn

_GAIN = 0.95
"""bfloat16 must need less than this share of float32's time; else rounding buys nothing."""

_CLEAR = 1.3
"""A ratio of times that one repetition settles."""


@dataclass(frozen=True)
class Precision:
    """How models compute; part of a run's state, so that a resumed run computes alike."""

    name: str
    reason: str

    @property
    def is_bfloat16(self) -> bool:
        """True for bfloat16 autocast with channels last."""
        return self.name == "bfloat16"

    def autocast(self, device: torch.device) -> Callable[[], AbstractContextManager[None]] | None:
        """A fresh autocast context for each use, or None for float32."""
        if not self.is_bfloat16:
            return None
        return partial(torch.autocast, device.type, torch.bfloat16)

    def apply_layout(self, models: Mapping[str, nn.Module]) -> None:
        """Lay convolution weights out with channels last, where bfloat16 kernels want them."""
        if self.is_bfloat16:
            for model in models.values():
                model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def probe(
    run_step: Callable[[Precision], None], device: torch.device, rounds: int = 3
) -> Precision:
    """Time both precisions on a step of the real model and take the faster.

    Args:
        run_step: one forward and backward pass in the given precision; must leave no trace.
        device: where it runs.
        rounds: timed repetitions of each at most, after one that warms up; one is enough where
            they differ clearly.
    """
    candidates = [Precision("float32", ""), Precision("bfloat16", "")]
    times: dict[str, list[float]] = {c.name: [] for c in candidates}
    for round_ in range(rounds + 1):
        for candidate in candidates:
            begin = time.perf_counter()
            run_step(candidate)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_:
                times[candidate.name].append(time.perf_counter() - begin)
        if round_ == 1 and not 1 / _CLEAR < times["bfloat16"][0] / times["float32"][0] < _CLEAR:
            break
    ms = {name: 1e3 * median(values) for name, values in times.items()}
    name = "bfloat16" if ms["bfloat16"] < _GAIN * ms["float32"] else "float32"
    measured = (
        f"probe on {device.type}: float32 {ms['float32']:.1f} ms, bfloat16 {ms['bfloat16']:.1f} ms"
    )
    return Precision(name, measured)
