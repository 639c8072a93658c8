"""Means of losses over steps of unequal size."""

from __future__ import annotations

import pytest
import torch

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.train.metrics import Meter


def test_meter__a_short_batch_weighs_as_much_as_it_has_samples() -> None:
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0), "penalty": torch.tensor(3.0)})
    meter.add({"loss": torch.tensor(4.0)}, weight=0.5)
    assert meter.take(comm) == {"loss": pytest.approx(2.0), "penalty": 3.0}
    assert meter.take(comm) == {}
