"""Networks that compute otherwise while they train, such as BatchNorm and Dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.faults.stages import Stages
from hpctrain.train.modes import evaluating
from hpctrain.train.trainer import Trainer
from tests.runs import VARIABLES
from tests.unit.train.test_trainer import change, run_dir, trainer  # noqa: F401 - a fixture


class NormTask(SuperResolutionTask):
    """Its generator ends in a BatchNorm, a frozen one, and a Dropout."""

    def build_models(self) -> dict[str, nn.Module]:
        models = super().build_models()
        num = len(VARIABLES)
        end = nn.Sequential(nn.BatchNorm3d(num), nn.BatchNorm3d(num).eval(), nn.Dropout(0.5))
        models["generator"].end = end
        models["generator"].register_forward_hook(lambda model, _, output: model.end(output))
        self.seen: list[tuple[str, bool]] = []
        return models

    def training_step(self, *arguments: Any) -> dict[str, Tensor]:
        self._look("training")
        return super().training_step(*arguments)

    def validation_step(self, batch: Any) -> dict[str, Tensor]:
        self._look("validation")
        return super().validation_step(batch)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        self._look("figures")
        return ()

    def _look(self, where: str) -> None:
        self.seen.append((where, any(m.training for m in self.models["generator"].modules())))


def modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def buffers(models: Mapping[str, nn.Module]) -> list[Tensor]:
    return [buffer.clone() for model in models.values() for buffer in model.buffers()]


@pytest.fixture
def norm(run_dir: Path) -> Trainer:  # noqa: F811
    change(run_dir, epochs=2, figures_every_epochs=1)
    return trainer(run_dir, NormTask)


def test_validation__networks_evaluate_and_nothing_is_left_changed(norm: Trainer) -> None:
    task, validated = norm.task, []
    before = modes(task.models["generator"])
    norm.reporter.open(0)
    kept, drawn = buffers(task.models), torch.get_rng_state()
    norm.position.epoch = 1
    for _ in range(2):
        validated.append(norm._validate())
    norm.reporter.close(is_failed=False)
    assert validated[0] == validated[1] != {}
    assert all(map(torch.equal, kept, buffers(task.models)))
    assert torch.equal(drawn, torch.get_rng_state())
    assert modes(task.models["generator"]) == before
    assert (before["end.0"], before["end.1"], before["end.2"]) == (True, False, True)


def test_fit__trains_again_after_validation_and_figures(norm: Trainer) -> None:
    norm.fit()
    task = norm.task
    assert isinstance(task, NormTask)
    expected = {"training": True, "validation": False, "figures": False}
    assert set(task.seen) == set(expected.items())
    assert task.seen[-1][0] == "figures"


def test_evaluating__puts_each_module_back_after_an_error() -> None:
    class Merging(nn.Linear):
        """As layers that fold their weights for evaluation, and unfold them."""

        merged = False

        def train(self, mode: bool = True) -> Merging:
            self.merged = not mode
            return super().train(mode)

    model = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Dropout(), Merging(2, 2))
    before = modes(model)

    def judge() -> None:
        with evaluating({"a": model, "b": model}):
            assert not any(modes(model).values())
            assert model[2].merged
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        judge()
    assert modes(model) == before
    assert not model[2].merged


class Recorded(Stages):
    """Each entry, among what the task and the files were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def enter(self, name: str) -> None:
        super().enter(name)
        self.events.append(name)


def test_stages__each_batch_of_a_validation_is_a_sign_of_progress(
    run_dir: Path,  # noqa: F811
) -> None:
    change(run_dir, epochs=1, figures_every_epochs=1)
    stages = Recorded()
    made = trainer(run_dir, NormTask, stages)
    task, files = made.task, made.files
    for owner, name in ((task, "validation_step"), (task, "figures"), (files, "finish")):
        own = getattr(owner, name)

        def recording(*arguments: Any, own: Any = own, name: str = name) -> Any:
            stages.events.append(name)
            return own(*arguments)

        setattr(owner, name, recording)
    made.fit()
    events = stages.events
    begin, end = events.index("validation_step"), events.index("finish")
    assert events.count("validation_step") > 1
    for name in ("validation_step", "figures", "finish"):
        assert all(events[i - 1] == "aside" for i, said in enumerate(events) if said == name), name
    # the whole of it, without another stage between
    assert set(events[begin - 1 : events.index("figures")]) == {"aside", "validation_step"}
    assert events[end - 2] == "aside"  # the last write has a clock of its own
