"""Ways in which published trainers lose a training, and what happens here instead.

docs/explanation/exactness.md lists all of them; those that have a test of their own elsewhere are
named there and not repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ValidationError

from hpctrain.config.job import Job
from hpctrain.config.schedule import Schedule
from hpctrain.errors import CheckpointError, NonFiniteLossError
from hpctrain.train.guard import check_schedule
from hpctrain.train.schedule import factor
from tests.e2e.commands import hpctrain
from tests.unit.train.test_trainer import change, run_dir, trainer  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
NOT_A_NUMBER = """import torch
from torch import nn

class Loss(nn.Module):
    calls = 0

    def forward(self, output, target):
        Loss.calls += 1
        loss = (output - target).square().mean()
        return loss * float("nan") if Loss.calls == 8 else loss
"""


def test_page__names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "exactness.md").read_text()
    named = re.findall(r"`(\w+\.py)(?:::(test_\w+))?`", page)
    assert len(named) > 12
    for file, test in named:
        texts = [path.read_text() for path in (ROOT / "tests").rglob(file)]
        assert any(f"def {test}" in text for text in texts), f"{file}::{test}"


def test_nan_loss__names_the_samples_and_leaves_the_last_good_checkpoint(
    run_dir: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (run_dir / "nan_at_8.py").write_text(NOT_A_NUMBER)
    monkeypatch.syspath_prepend(run_dir)
    change(run_dir, criterion="nan_at_8.Loss", checkpoints={"every_steps": 1, "keep_last": 3})
    with pytest.raises(NonFiniteLossError, match=r"epoch 2, step 3.*samples of the batch: step00"):
        trainer(run_dir).fit()
    newest = run_dir / "checkpoints" / "latest"
    assert newest.resolve().name == "state_1_step_2.pt"
    state = torch.load(newest, weights_only=True)
    for value in state["models"]["generator"].values():
        assert value.isfinite().all()


def cosine(epoch: float, epochs: int, warmup: int, last: float) -> float:
    """The rate of a schedule of 1000 steps an epoch, as a share of the full one."""
    schedule = Schedule(kind="cosine", warmup_steps=1000 * warmup, final_factor=last)
    return factor(schedule, round(1000 * epoch), 1000 * epochs)


@pytest.mark.parametrize(
    ("epoch", "last", "jump"),
    [
        (60, 1e-6 / 5e-4, 1.73),  # DINO at epoch 60
        (50, 0.001, 1.38),  # VICReg, half way through its 100 epochs
    ],
)
def test_more_epochs__would_raise_the_rate_and_are_refused(
    epoch: float, last: float, jump: float
) -> None:
    now, then = cosine(epoch, 100, 10, last), cosine(epoch, 150, 10, last)
    assert then / now == pytest.approx(jump, abs=0.03)
    saved = {"epochs": 100, "steps_per_epoch": 1000}
    with pytest.raises(CheckpointError, match="epochs 100 -> 150.*change the learning rate"):
        check_schedule(saved, {**saved, "epochs": 150}, is_allowed=False)


@pytest.mark.parametrize("warmup_steps", [100, 5], ids=["shorter", "as long"])
def test_run_as_short_as_its_warmup__ends_well(
    run_dir: Path,  # noqa: F811
    warmup_steps: int,
) -> None:
    change(run_dir, epochs=1, schedule={"kind": "cosine", "warmup_steps": warmup_steps})
    made = trainer(run_dir)
    assert made.fit() is True
    assert made.rates.now()["generator"] == pytest.approx(1e-4 * 5 / warmup_steps)


def test_checkpoint_of_another_program__is_no_checkpoint(run_dir: Path) -> None:  # noqa: F811
    folder = run_dir / "checkpoints"
    folder.mkdir()
    torch.save({"epoch": 3, "student": {}, "args": {"lr": 0.1}}, folder / "state_3.pt")
    (folder / "latest").symlink_to("state_3.pt")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints is whole"):
        trainer(run_dir)


@pytest.mark.parametrize("missing", ["optimizers", "weight"])
def test_checkpoint_that_lacks_a_part__is_refused_whole(
    run_dir: Path,  # noqa: F811
    missing: str,
) -> None:
    trainer(run_dir).fit()
    path = (run_dir / "checkpoints" / "latest").resolve()
    state = torch.load(path, weights_only=True)
    if missing == "optimizers":
        state["optimizers"] = {}
    else:
        state["models"]["generator"].popitem()
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="other networks or optimizers"):
        trainer(run_dir)


def blocks(schema: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A schema and all below it."""
    yield schema
    for field in schema.model_fields.values():
        for part in parts(field.annotation):
            yield from blocks(part)


def parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, list, dict, tuple) or get_args(annotation):
        for one in get_args(annotation):
            yield from parts(one)


def test_unknown_option__is_refused_in_every_block() -> None:
    schemas = set(blocks(Job))
    assert len(schemas) > 20
    for schema in schemas:
        with pytest.raises(ValidationError) as info:
            schema.model_validate({"no_such_option": 1})
        kinds = {e["type"] for e in info.value.errors() if e["loc"] == ("no_such_option",)}
        assert kinds == {"extra_forbidden"}, schema


def test_missing_file_of_one_field__never_mispairs(tmp_path: Path) -> None:
    """Twins are found by their names: without one, nothing is rendered."""
    for i in range(4):
        field = np.full((1, 16, 16, 16), float(i), "f4")
        np.save(tmp_path / f"fine{i}.npy", field)
        if i != 1:
            np.save(tmp_path / f"coarse{i}.npy", field[:, ::2, ::2, ::2])
    (tmp_path / "job.yaml").write_text(
        "name: pairs\nsite: local\nresources: {ranks_per_node: 1, walltime: '00:10:00'}\n"
        "data: {kind: fields, geometry: box, targets: ['fine*.npy'], inputs: ['coarse*.npy'],\n"
        "  crop: [4, 4, 4], validation_steps: 1}\n"
        "train: {task: super_resolution, upscale_factor: 2, epochs: 1, global_batch_size: 2}\n"
    )
    done = hpctrain("render", "job.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "none for '1'" in done.stderr
    assert not (tmp_path / "jobs").exists()
