from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from hpctrain.train.draws import (
    global_states,
    sample_seed,
    sample_seeds,
    seed_everything,
    seed_rank,
    set_global_states,
)


def test_sample_seed__depends_on_each_argument() -> None:
    base = (1, 2, 3, 4)
    others = [tuple(v + (i == j) for j, v in enumerate(base)) for i in range(4)]
    seeds = {sample_seed(*values) for values in (base, *others)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_sample_seeds__do_not_depend_on_the_batch() -> None:
    assert sample_seeds(0, 1, [5, 9])[1] == sample_seeds(0, 1, [9])[0]


def test_seed_rank__ranks_and_steps_draw_differently() -> None:
    drawn = []
    for rank, step in ((0, 0), (1, 0), (0, 1), (0, 0)):
        seed_rank(5, rank, step)
        drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))
    assert drawn[0] == drawn[3]
    for values in zip(*drawn[:3], strict=True):
        assert len(set(values)) == 3


def test_global_states__come_back_through_a_checkpoint(tmp_path: Path) -> None:
    seed_everything(7)
    random.gauss(0, 1), np.random.standard_normal()  # leave half-used states behind
    torch.save(global_states(), tmp_path / "s.pt")
    expected = (random.random(), np.random.standard_normal(3).tolist(), torch.rand(2).tolist())
    seed_everything(8)
    set_global_states(torch.load(tmp_path / "s.pt", weights_only=True))
    again = (random.random(), np.random.standard_normal(3).tolist(), torch.rand(2).tolist())
    assert again == expected
