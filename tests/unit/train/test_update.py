from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.batch_norm import SyncBatchNorm
from hpctrain.comm.single import SingleCommunicator
from hpctrain.train.update import Update


@pytest.fixture(autouse=True)
def _counted() -> Iterator[None]:
    yield
    SyncBatchNorm.is_counted = True


def test_fillers__count_in_no_statistics_of_their_micro_batch() -> None:
    """One sample here in the second of two micro-batches, two on the other rank."""
    parts = [SimpleNamespace(num_samples=0), SimpleNamespace(num_samples=1)]
    batch = SimpleNamespace(num_global=3, micro=lambda count: parts)
    weight = nn.Parameter(torch.ones(1))
    comm = SingleCommunicator(Ranks(0, 2, 0, 2, "here"), torch.device("cpu"))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    update = Update(comm, {"model": optimizer}, accumulate=2)
    seen: list[tuple[str, bool]] = []

    def note(when: str) -> None:
        seen.append((when, SyncBatchNorm.is_counted))

    def loss(part: Any) -> dict[str, Tensor]:
        note("forward")
        result = weight.square().sum()
        result.register_hook(lambda _: note("backward"))
        return {"loss": result}

    made = update.split(batch)
    note("outside")
    for _ in range(2):
        update("model", loss, made)
        note("outside")
    passes = [("forward", False), ("backward", False), ("forward", True), ("backward", True)]
    assert seen == [("outside", True), *passes, ("outside", True), *passes, ("outside", True)]
    parts[0].num_samples, parts[1].num_samples = 1, 0
    update("model", loss, update.split(batch))
    assert SyncBatchNorm.is_counted, "a forward pass of all samples counts"
