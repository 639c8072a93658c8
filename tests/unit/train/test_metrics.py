"""Means of losses over steps of unequal size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.errors import TrainError
from hpctrain.train.metrics import Meter, Recorder


def test_meter__a_short_batch_weighs_as_much_as_it_has_samples() -> None:
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0), "penalty": torch.tensor(3.0)})
    meter.add({"loss": torch.tensor(4.0)}, weight=0.5)
    assert meter.take(comm) == {"loss": pytest.approx(2.0), "penalty": 3.0}
    assert meter.take(comm) == {}


def test_recorder__a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(TrainError, match=r"metrics\.jsonl: cannot be written \(Not a directory\)"):
        Recorder(tmp_path, 0)


def test_recorder__old_lines_that_cannot_be_taken_away(tmp_path: Path) -> None:
    (tmp_path / "logs" / "metrics.tmp").mkdir(parents=True)
    (tmp_path / "logs" / "metrics.jsonl").touch()
    with pytest.raises(TrainError, match=r"metrics\.jsonl: cannot be written \(Is a directory\)"):
        Recorder(tmp_path, 0)
