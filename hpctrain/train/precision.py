"""Precision and memory layout: asked for, or found by a short probe on this device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

_GAIN = 0.95
"""bfloat16 must need less than this share of float32's time; else rounding buys nothing."""

_OBVIOUS = 0.6
"""Share of float32's time at which bfloat16 has won at once."""

_CLEAR = 1.3
"""A ratio of times that two repetitions settle."""


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
    run_step: Callable[[Precision], None], device: torch.device, rounds: int = 4
) -> Precision:
    """Time both precisions on a step of the real model and take the faster.

    Each is judged by its best time: whatever else runs on the machine only ever adds to a time.

    Args:
        run_step: one forward and backward pass in the given precision; must leave no trace.
        device: where it runs.
        rounds: timed repetitions of each at most, after one that warms up; two are enough where
            they differ clearly, one where bfloat16 is far ahead, as no disturbance makes it.
    """
    candidates = [Precision("float32", ""), Precision("bfloat16", "")]
    best = {c.name: math.inf for c in candidates}
    for round_ in range(rounds + 1):
        for candidate in candidates:
            begin = time.perf_counter()
            run_step(candidate)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_:
                best[candidate.name] = min(best[candidate.name], time.perf_counter() - begin)
        ratio = best["bfloat16"] / best["float32"] if round_ else 1.0
        if ratio < _OBVIOUS or (round_ >= 2 and not 1 / _CLEAR < ratio < _CLEAR):
            break
    name = "bfloat16" if best["bfloat16"] < _GAIN * best["float32"] else "float32"
    measured = ", ".join(f"{kind} {1e3 * seconds:.1f} ms" for kind, seconds in best.items())
    return Precision(name, f"probe on {device.type}: {measured}")
