"""A study on a small scroll, from the command line to the figure; what is done is not run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hpctrain.provenance import read
from hpctrain.samples.scroll import write_sample
from tests.e2e.commands import hpctrain
from tests.integration.mpi.test_scrolls import JOB

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def roll(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_sample(folder / "data", size=(128, 192))
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return folder


def study(folder: Path, *argv: str) -> str:
    done = hpctrain("study", *argv, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_study__compares_batches_on_two_ranks_and_runs_nothing_twice(roll: Path) -> None:
    line = ("batch", "small.yaml", "--values", "4,8", "--seeds", "1", "--ranks", "2")
    first = study(roll, *line, "--epochs", "2")
    assert "run 1 of 2: 4, seed 0: finished" in first
    assert "at equal samples: " in first
    folder = roll / "jobs" / "scroll-batch"
    rows = json.loads((folder / "answer.json").read_text())["rows"]
    assert [row["steps"] for row in rows] == [12, 6]
    assert [row["samples"] for row in rows] == [48, 48]
    assert all(row["train_s"] > 0 and row["loss"] is not None for row in rows)
    stamp = read(folder / "answer.png").stamp
    assert stamp.run_name == "000"
    assert stamp.run_id
    assert "run 1 of 2" not in study(roll, *line, "--epochs", "2")
    assert json.loads((folder / "answer.json").read_text())["rows"] == rows


def test_study__a_rate_that_diverges_is_an_answer_and_no_fault(roll: Path) -> None:
    line = ("rate", "small.yaml", "--values", "1e-3,1e9", "--seeds", "1", "--ranks", "1")
    first = study(roll, *line, "--epochs", "10")
    assert "run 1 of 1: rising rate, seed 0: diverged" in first
    assert "run 1 of 1" not in study(roll, *line, "--epochs", "10")
    rows = json.loads((roll / "jobs" / "scroll-rate" / "answer.json").read_text())["rows"]
    assert rows[0]["diverged at"] > 1
    assert (roll / "jobs" / "scroll-rate" / "points" / "000" / "logs" / "metrics.jsonl").exists()
