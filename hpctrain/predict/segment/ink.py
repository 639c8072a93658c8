"""The network of a run of task `ink`: weights and scales of one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctrain.config.ink import Ink
from hpctrain.data.scroll.scales import ScrollScales
from hpctrain.errors import CheckpointError
from hpctrain.predict.options import Weights
from hpctrain.predict.reach import peak_bytes
from hpctrain.predict.trained import take_weights
from hpctrain.tasks.ink.networks import make_ink
from hpctrain.train.precision import Precision
from hpctrain.train.stamps import checkpoint_facts

Triple = tuple[int, int, int]
_INK = "ink"
_FLIPS: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1))
_MOST_AT_ONCE = 64
_SLACK = 2
"""Libraries of convolutions need about as much again for their own copies."""


@dataclass(frozen=True)
class TrainedInk:
    """What a checkpoint gives for prediction."""

    network: nn.Module
    """(B, 1, D, H, W) to logits (B, H, W); evaluating, in float32 on the CPU."""
    scales: ScrollScales
    facts: Mapping[str, Any]
    """Fields of the stamp."""
    weights: str
    """Which were taken: `last` or `ema`."""
    precision: Mapping[str, Any]
    """That of the training."""


def load_ink(
    settings: Ink, window: Triple, path: Path, state: Mapping[str, Any], weights: Weights
) -> TrainedInk:
    """Make the network of a checkpoint.

    Args:
        settings: the run's `train:` block.
        window: `data.window`.
        path: the checkpoint.
        state: what is in it.
        weights: last, ema, or auto: those that validations of the run judge.

    Raises:
        CheckpointError: it holds other networks.
    """
    try:
        scales = ScrollScales.from_dict(state["task"]["scales"])
        state["models"][_INK]
    except (KeyError, TypeError) as e:
        raise CheckpointError(f"{path}: holds no network of task ink (no {e})") from e
    network = make_ink(settings, window)
    kind = take_weights(network, _INK, path, state, settings, weights)
    facts, precision = checkpoint_facts(path, state), state.get("precision") or {}
    return TrainedInk(network.eval(), scales, facts, kind, precision)


def windows_at_once(settings: Ink, window: Triple, tile: Triple, memory_bytes: int) -> int:
    """How many windows fit in memory; at least one.

    Args:
        settings: the run's `train:` block.
        window: `data.window`.
        tile: voxels of what is to be predicted at once.
        memory_bytes: for activations.
    """
    with torch.device("meta"):
        meta = make_ink(settings, window).eval()
    need = _SLACK * peak_bytes(meta, (1, 1, *tile), lambda network, x: network(x))
    return max(1, min(_MOST_AT_ONCE, memory_bytes // need))


class InkPredictor:
    """Probabilities of windows.

    Args:
        trained: the network.
        device: where it computes.
        precision: of its arithmetic.
        has_flips: mean of the four mirrored views, else the window as it is.
    """

    def __init__(
        self, trained: TrainedInk, device: torch.device, precision: Precision, *, has_flips: bool
    ) -> None:
        self._network = trained.network.to(device)
        precision.apply_layout({_INK: self._network})
        self._device = device
        self._views = _FLIPS if has_flips else _FLIPS[:1]
        self._autocast: Callable[[], AbstractContextManager[None]] = (
            precision.autocast(device) or nullcontext
        )

    @torch.no_grad()
    def __call__(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, H, W) probabilities of B windows (D, H, W)."""
        x = torch.from_numpy(np.stack(windows)[:, None]).to(self._device)
        total: Tensor | None = None
        for view in self._views:
            with self._autocast():
                logits = self._network(x.flip(view) if view else x)
            own = torch.sigmoid(logits.float())
            own = own.flip(view) if view else own
            total = own if total is None else total + own
        assert total is not None
        found: NDArray[np.float32] = (total / len(self._views)).cpu().numpy()
        return found
