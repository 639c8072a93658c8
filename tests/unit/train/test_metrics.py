"""Means of losses over steps of unequal size; points that reach TensorBoard, or do not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

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


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def points(run_dir: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard itself shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run_dir / "tensorboard"))
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(tag)]


def record(run_dir: Path, first_step: int, *steps: int, value: float) -> None:
    recorder = Recorder(run_dir, first_step)
    for step in steps:
        recorder.scalars("train", 0, step, {"loss": value})
    if steps[-1] == 4:
        recorder.scalars("validation", 0, 4, {"rmse": value})
    recorder.close()


@pytest.mark.filterwarnings("ignore")  # of TensorBoard about the libraries beside it
def test_recorder__a_second_start_hides_later_points_and_no_others(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files of one process and second sort by its count of writers, as text: 10 before 9.
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer._global_uid, "_value", 0)
    record(run_dir, 0, 1, 2, value=1)  # ended before its first checkpoint
    record(run_dir, 0, 1, 2, 3, 4, value=2)  # ended right after that of step 4
    record(run_dir, 4, 5, 6, value=3)  # ended between checkpoints
    record(run_dir, 4, 5, value=4)
    assert points(run_dir, "train/loss") == [(1, 2), (2, 2), (3, 2), (4, 2), (5, 4)]
    assert points(run_dir, "validation/rmse") == [(4, 2)]
    lines = map(json.loads, (run_dir / "logs" / "metrics.jsonl").read_text().splitlines())
    kinds = [(line["kind"], line["step"]) for line in lines]
    assert kinds == [*[("train", i) for i in (1, 2, 3, 4)], ("validation", 4), ("train", 5)]


@pytest.mark.filterwarnings("ignore")  # as above
@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ImportError("x")])
def test_recorder__a_figure_that_fails_is_told_once_and_points_go_on(
    run_dir: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def draw() -> Any:
        raise error

    recorder = Recorder(run_dir, 0)
    with caplog.at_level(logging.WARNING, "hpctrain"):
        for step in (1, 2, 3):
            recorder.figure("slice", 0, step, draw)
            recorder.scalars("train", 0, step, {"loss": 1.0})
        recorder.close()
    assert len(caplog.messages) == 1
    assert type(error).__name__ in caplog.messages[0]
    assert [step for step, _ in points(run_dir, "train/loss")] == [1, 2, 3]


@pytest.mark.filterwarnings("ignore")  # as above
def test_recorder__goes_on_once_tensorboard_can_write(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch.utils.tensorboard import writer

    real, tries = writer.SummaryWriter, []

    def fails_twice(*arguments: Any, **options: Any) -> Any:
        tries.append(None)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(writer, "SummaryWriter", fails_twice)
    with caplog.at_level(logging.WARNING, "hpctrain"):
        record(run_dir, 0, 1, 2, 3, value=1)
    assert len(caplog.messages) == 1
    assert points(run_dir, "train/loss") == [(3, 1)]


def test_recorder__a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(TrainError, match=r"metrics\.jsonl: cannot be written \(Not a directory\)"):
        Recorder(tmp_path, 0)


def test_recorder__old_lines_that_cannot_be_taken_away(tmp_path: Path) -> None:
    (tmp_path / "logs" / "metrics.tmp").mkdir(parents=True)
    (tmp_path / "logs" / "metrics.jsonl").touch()
    with pytest.raises(TrainError, match=r"metrics\.jsonl: cannot be written \(Is a directory\)"):
        Recorder(tmp_path, 0)
