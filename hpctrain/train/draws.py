"""Random numbers that belong to a sample, not to a rank, a worker or a moment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def sample_seed(seed: int, epoch: int, sample: int, stream: int = 0) -> int:
    """A 63-bit seed from (seed, epoch, sample id, stream).

    Args:
        seed: the run's seed.
        epoch: epoch in which the sample is seen.
        sample: the sample's id in the training set.
        stream: tells draws for different purposes of one sample apart.
    """
    state = np.random.SeedSequence([seed, epoch, sample, stream]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def sample_seeds(seed: int, epoch: int, samples: Sequence[int], stream: int = 0) -> list[int]:
    """`sample_seed` of each sample of a batch."""
    return [sample_seed(seed, epoch, sample, stream) for sample in samples]


RANK_STREAM = 3
"""Key of the random stream that seeds the global generators of a rank."""


def seed_rank(seed: int, rank: int, step: int = 0) -> None:
    """Give the global generators of each rank draws of their own.

    They are for user code, such as dropout: with equal draws on all ranks the samples of a batch
    would lose the same units.

    Args:
        seed: the run's seed.
        rank: this rank.
        step: steps done, so that a rank that joins later does not repeat draws.
    """
    entropy = np.random.SeedSequence([seed, rank, step], spawn_key=(RANK_STREAM,))
    seed_everything(int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def seed_everything(seed: int) -> None:
    """Set the global generators equally on all ranks, as for the first weights."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def global_states() -> dict[str, Any]:
    """The global generators' states, in types that torch.load(weights_only=True) accepts."""
    version, words, gauss = random.getstate()
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)
    states = {
        "python": (version, list(words), gauss),
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_global_states(states: dict[str, Any]) -> None:
    """Put back what `global_states` returned."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    saved = states["numpy"]
    np.random.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": saved["key"].numpy().astype(np.uint32), "pos": saved["pos"]},
            "has_gauss": saved["has_gauss"],
            "gauss": saved["gauss"],
        }
    )
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
