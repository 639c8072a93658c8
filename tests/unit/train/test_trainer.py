"""The loop in this process, on small real files: where it saves, what it refuses."""

from __future__ import annotations

import copy
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.data import Fields
from hpctrain.errors import CheckpointError, NonFiniteLossError
from hpctrain.index import build_fields_index
from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.faults.stages import Stages
from hpctrain.train.run import Run, RunState
from hpctrain.train.saving import Saver
from hpctrain.train.stop import StopRequest
from hpctrain.train.task import Place, Position
from hpctrain.train.trainer import Trainer
from tests.runs import JOB, write_step

STEPS_PER_EPOCH = 5
LOSS_CURVE = Path(__file__).parent / "loss_curve.txt"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for i in range(3):
        write_step(tmp_path / f"step{i:03}.nc", seed=i)
    job = copy.deepcopy(JOB)
    job["resources"]["ranks_per_node"] = 1
    job["data"] |= {"root": str(tmp_path), "workers": 0}
    job["train"] |= {"epochs": 3, "adversary": None}
    write_job(tmp_path / "run", job)
    return tmp_path / "run"


def write_job(run: Path, job: dict) -> None:
    run.mkdir(exist_ok=True)
    index = build_fields_index(Fields.model_validate(job["data"]), 2, run.parent)
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    (run / "config.yaml").write_text(yaml.safe_dump(job))


def change(run: Path, **train: object) -> None:
    job = yaml.safe_load((run / "config.yaml").read_text())
    job["train"] |= train
    (run / "config.yaml").write_text(yaml.safe_dump(job))


def trainer(
    run_dir: Path,
    kind: type[SuperResolutionTask] = SuperResolutionTask,
    stages: Stages | None = None,
    **options: bool,
) -> Trainer:
    run = Run(run_dir)
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    task = kind(run.job, Place(run.path, 0, comm.device))
    return Trainer(run, task, comm, RunState(run.path), stages=stages, **options)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """A request that comes during step number `step`."""
    asked = iter(range(1, 1000))
    original = StopRequest.ask

    def ask(self: StopRequest) -> None:
        if next(asked) == step:
            self.reason = "the test"
        original(self)

    monkeypatch.setattr(StopRequest, "ask", ask)


@pytest.mark.parametrize("step", [3, STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH + 1])
def test_stop__saves_wherever_it_comes(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    change(run_dir, checkpoints={"every_epochs": 1000})
    stop_at(monkeypatch, step)
    assert trainer(run_dir).fit() is False
    monkeypatch.undo()
    resumed = trainer(run_dir)
    assert resumed.position.global_step == step
    assert resumed.fit() is True
    assert resumed.position.global_step == 3 * STEPS_PER_EPOCH


def test_resume__makes_a_validation_that_a_kill_took(run_dir: Path) -> None:
    trainer(run_dir).fit()
    summary = run_dir / "eval" / "summary.json"
    expected = summary.read_text()
    summary.unlink()  # as if killed after the last checkpoint
    assert trainer(run_dir).fit() is True
    drop = re.compile("samples_per_s|content_digest|launch_id")
    assert [line for line in summary.read_text().splitlines() if not drop.search(line)] == [
        line for line in expected.splitlines() if not drop.search(line)
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from hpctrain.train.saving import Saver
from tests.unit.train.test_trainer import trainer

def judge(self, epoch, metric, value, **_):
    if epoch == 2:
        self.finish()
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, epoch, metric, value)

original, Saver.judge = Saver.judge, judge
trainer(Path(sys.argv[1])).fit()
"""


def test_resume__judges_an_epoch_whose_verdict_a_kill_took(run_dir: Path) -> None:
    metric = "validation/rmse/generator"
    change(run_dir, epochs=2, checkpoints={"best": metric}, optimizer={"learning_rate": 1e-3})
    command = [sys.executable, "-c", KILLED, str(run_dir)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    best = run_dir / "checkpoints" / "best.json"
    assert json.loads(best.read_text())["epoch"] == 1
    summary = json.loads((run_dir / "eval" / "summary.json").read_text())
    assert summary["judged"] == {"metric": metric, "value": summary["rmse_normalized"]["generator"]}
    assert summary["epoch"] == 2

    before = (run_dir / "logs" / "metrics.jsonl").read_text()
    assert trainer(run_dir).fit() is True
    found = json.loads(best.read_text())
    assert (found["epoch"], found["value"]) == (2, summary["judged"]["value"])
    kept = torch.load(run_dir / "checkpoints" / "best.pt", weights_only=True)
    assert kept["position"]["epoch"] == 2
    assert (run_dir / "logs" / "metrics.jsonl").read_text() == before  # not validated again


@pytest.mark.parametrize(
    ("metric", "told", "kept"),
    [
        ("validation/f05", ("validation/f05", 0.5), 1),
        ("validation/f05", ("validation/f05", 0.95), 2),
        ("validation/loss", ("validation/loss", 0.5), 2),
        ("validation/loss", ("validation/f05", 0.5), 1),
        ("validation/loss", None, 1),
    ],
)
def test_resume__judges_by_the_same_metric_in_its_own_direction(
    tmp_path: Path, metric: str, told: tuple[str, float] | None, kept: int
) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", 3)
    (tmp_path / "eval").mkdir()
    for epoch in (1, 2):
        folder.save({}, epoch, 0)
    folder.keep_best(1, metric, 0.9)
    judged = {"metric": told[0], "value": told[1]} if told else 0.5  # a number: of before
    summary = {"epoch": 2, "judged": judged}
    (tmp_path / "eval" / "summary.json").write_text(json.dumps(summary))
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    made, run = Trainer.__new__(Trainer), Run.__new__(Run)
    made.run, made.comm, made.position = run, comm, Position(2, 0, 20)
    made.run.path = tmp_path
    made.settings = SimpleNamespace(  # type: ignore[assignment]
        checkpoints=SimpleNamespace(best=metric), epochs=3, validate_every_epochs=1,
        rising={"validation/f05"},
    )  # fmt: skip
    made.saver = Saver(folder, comm, RunState(tmp_path))
    made._catch_up()
    assert json.loads((tmp_path / "checkpoints" / "best.json").read_text())["epoch"] == kept


def test_resume__other_steps_within_an_epoch_are_refused_even_if_allowed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, 3)
    trainer(run_dir).fit()
    monkeypatch.undo()
    change(run_dir, global_batch_size=2)
    with pytest.raises(CheckpointError, match="within an epoch of 5 steps, which now has 10"):
        trainer(run_dir, is_schedule_change_allowed=True)


def test_resume__allowed_change_of_the_optimizer_takes_effect(run_dir: Path) -> None:
    trainer(run_dir).fit()
    change(run_dir, epochs=4, optimizer={"betas": [0.5, 0.99], "learning_rate": 1e-3})
    with pytest.raises(CheckpointError, match="optimizer"):
        trainer(run_dir)
    resumed = trainer(run_dir, is_schedule_change_allowed=True)
    assert resumed.optimizers["generator"].param_groups[0]["betas"] == (0.5, 0.99)
    assert resumed.fit() is True


def test_resume__allowed_change_to_another_optimizer_trains_on(run_dir: Path) -> None:
    change(run_dir, optimizer={"name": "SGD", "momentum": 0.9})
    trainer(run_dir).fit()
    change(run_dir, epochs=4, optimizer={"name": "AdamW"})
    resumed = trainer(run_dir, is_schedule_change_allowed=True)
    assert resumed.fit() is True
    (state, *_) = resumed.optimizers["generator"].state.values()
    assert state["step"] == STEPS_PER_EPOCH


def test_resume__another_network_is_one_sentence(run_dir: Path) -> None:
    trainer(run_dir).fit()
    change(run_dir, generator={"channels": {"base": 4, "min": 4, "max": 8}})
    with pytest.raises(CheckpointError, match="generator"):
        trainer(run_dir)
    with pytest.raises(CheckpointError, match="other networks or optimizers"):
        trainer(run_dir, is_schedule_change_allowed=True)


def test_resume__another_crop_is_refused(run_dir: Path) -> None:
    trainer(run_dir).fit()
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["data"]["normalization"] = "minmax"
    (run_dir / "config.yaml").write_text(yaml.safe_dump(job))
    with pytest.raises(CheckpointError, match="data.normalization 'standard' -> 'minmax'"):
        trainer(run_dir)


def test_loss_curve__is_the_recorded_one(run_dir: Path) -> None:
    """Fixed seed, float32: a change here is a change of numerics and belongs into the commit."""
    losses = []
    first = trainer(run_dir)
    step = first.task.training_step

    def recording(*arguments: object) -> dict[str, torch.Tensor]:
        result = step(*arguments)  # type: ignore[arg-type]
        losses.append(float(result["generator"]))
        return result

    first.task.training_step = recording  # type: ignore[method-assign]
    first.fit()
    recorded = [float(x) for x in LOSS_CURVE.read_text().split()]
    assert losses[:10] == pytest.approx(recorded, rel=1e-4)


def test_full_disk__ends_at_a_step_boundary_and_the_older_stays(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(run_dir, checkpoints={"every_steps": 2})
    write = torch.save
    written = iter(range(1, 100))

    def fills_up(*arguments: object) -> None:
        if next(written) == 2:
            raise OSError(28, "No space left on device")
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "save", fills_up)
    with pytest.raises(CheckpointError, match=r"step_4.pt: cannot be written .*No space left"):
        trainer(run_dir).fit()
    monkeypatch.undo()
    state = RunState(run_dir).fields
    assert (state["checkpoint"], state["saved_step"]) == ("state_0_step_2.pt", 2)
    assert trainer(run_dir).position.global_step == 2


def test_parameter_that_is_no_number__the_last_step_done_is_named(run_dir: Path) -> None:
    made = trainer(run_dir)
    step, model = made.task.training_step, made.task.models["generator"]

    def breaking(*arguments: object) -> dict[str, torch.Tensor]:
        losses = step(*arguments)  # type: ignore[arg-type]
        if made.position.global_step == STEPS_PER_EPOCH - 1:
            next(model.parameters()).data.fill_(float("nan"))
        return losses

    made.task.training_step = breaking  # type: ignore[method-assign]
    with pytest.raises(NonFiniteLossError, match="^by epoch 1, step 5: parameter generator."):
        made.fit()
