"""Validation sets of a field_gan that say too little: refused, told of, or null in the files."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpctrain.config.job import Job
from hpctrain.errors import DataError
from hpctrain.index import build_fields_index
from hpctrain.tasks.field_gan import FieldGanTask
from hpctrain.tasks.field_gan.evaluation import KINDS
from hpctrain.train.task import Place
from tests.unit.tasks.test_sampling import JOB


def make_task(tmp_path: Path, rank: int = 0, constant: bool = False, **data: Any) -> FieldGanTask:
    rng = np.random.default_rng(0)
    for i in range(3):
        box = rng.poisson(1.0, (8, 8, 8)).astype(np.float32)
        np.save(tmp_path / f"u{i}.npy", np.zeros_like(box) if constant and i == 2 else box)
    given = {"root": str(tmp_path), "crop": [1, 8, 8], **data}
    job = Job.model_validate({**JOB, "data": {**JOB["data"], **given}})
    index = build_fields_index(job.data, 1, tmp_path)
    (tmp_path / "index.csv").write_text(index.csv_text)
    (tmp_path / "index.json").write_text(index.json_text)
    return FieldGanTask(job, Place(tmp_path, rank, "cpu"))


def test_samples__too_few_for_a_variance(tmp_path: Path) -> None:
    task = make_task(tmp_path, crop=[8, 8, 8])
    with pytest.raises(DataError, match=r"validation has 1 sample.*at least 2.*data\.stride"):
        task.build_data(None, lambda measured: measured)


@pytest.mark.parametrize(("stride", "rank", "count"), [(2, 0, 1), (2, 1, 0), (1, 0, 0)])
def test_samples__few_are_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stride: int, rank: int, count: int
) -> None:
    known = make_task(tmp_path).build_data(None, lambda measured: measured)
    assert known.validation is not None
    task = make_task(tmp_path, rank, stride=[stride, 8, 8])
    saved = make_task(tmp_path)
    saved.build_data(None, lambda measured: measured)
    with caplog.at_level(logging.WARNING):
        task.build_data(saved.state(), lambda measured: measured)
    told = [r for r in caplog.messages if "validation has 4 samples" in r]
    assert len(told) == count
    assert all("data.stride" in line and "data.validation_steps" in line for line in told)


def test_variable__that_is_constant_is_named(tmp_path: Path) -> None:
    task = make_task(tmp_path, constant=True)
    with pytest.raises(DataError, match=r"'u' in the 8 validation samples.*all values are 0.*"):
        task.build_data(None, lambda measured: measured)


def test_files__have_null_where_there_is_no_number(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    task.build_data(None, lambda measured: measured)
    bins, waves = len(task.evaluation.edges[0]) - 1, 4
    sums = {"mean": torch.zeros(1, dtype=torch.float64)}
    for kind in KINDS:
        sums[f"count/{kind}"] = torch.tensor(4.0 if kind.startswith("half") else 8.0)
        for name, size in (("histogram", bins), ("spectrum", waves)):
            total = 8.0 if kind == "generator" else 4.0
            sums[f"{name}/{kind}"] = torch.full((1, size), total, dtype=torch.float64)
            sums[f"{name}_squares/{kind}"] = sums[f"{name}/{kind}"].square() / 8
    found = task.evaluation.result(sums)
    assert math.isinf(found.scalars["chi2/spectrum"]), "no scatter of the truth at all"
    text = json.dumps(found.files, allow_nan=False)
    assert json.loads(text)["summary.json"]["chi2/spectrum"] is None
