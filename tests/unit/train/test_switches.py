"""Each switch of the update gives the same training, within what its arithmetic allows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from hpctrain.errors import ConfigError
from tests.unit.train.test_trainer import change, run_dir, stop_at, trainer  # noqa: F401 - a fixture

BASE: dict[str, Any] = {"epochs": 1, "optimizer": {"name": "SGD", "learning_rate": 0.05}}


def trained(run: Path, **settings: Any) -> dict[str, torch.Tensor]:
    """Parameters after an epoch of five steps, from the checkpoint."""
    for path in (run / "checkpoints").glob("*"):
        path.unlink()
    change(run, **{**BASE, **settings})
    trainer(run).fit()
    state = torch.load(run / "checkpoints" / "latest", weights_only=True)
    parameters: dict[str, torch.Tensor] = state["models"]["generator"]
    return parameters


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest relative distance of a parameter."""
    norm = torch.linalg.vector_norm
    return max(float(norm(other[k] - v) / norm(v).clamp(min=1e-3)) for k, v in one.items())


SWITCHES = {
    "accumulate": ({"accumulate": 2}, 1e-5),
    "channels_last": ({"memory_format": "channels_last"}, 1e-5),
    "foreach": ({"optimizer": {**BASE["optimizer"], "implementation": "foreach"}}, 1e-6),
    "fused": ({"optimizer": {**BASE["optimizer"], "implementation": "fused"}}, 1e-6),
    "activation_checkpointing": ({"activation_checkpointing": True}, 0.0),
    "averaging": ({"ema": {"models": ["generator"]}}, 0.0),
    "bfloat16": ({"precision": "bfloat16"}, 0.1),
    "float16": ({"precision": "float16"}, 0.02),
}


def test_switches__change_no_more_than_rounding(run_dir: Path) -> None:  # noqa: F811
    plain = trained(run_dir)
    assert distance(plain, trained(run_dir, seed=1)) > 0.2, "the comparison sees a difference"
    for name, (settings, tolerance) in SWITCHES.items():
        # None puts back what an earlier switch of the loop has set
        neutral = {"accumulate": 1, "memory_format": "auto", "precision": "float32", "seed": 0}
        neutral |= {"ema": None, "activation_checkpointing": False}
        found = distance(plain, trained(run_dir, **{**neutral, **settings}))
        assert found <= tolerance, f"{name}: {found}"


@pytest.mark.filterwarnings("ignore")  # of torch about itself
def test_compile__gives_the_same(run_dir: Path) -> None:  # noqa: F811
    narrow = {"channels": {"base": 4, "min": 4, "max": 4}, "noise": "none"}
    plain = trained(run_dir, generator=narrow)
    assert distance(plain, trained(run_dir, generator=narrow, compile=True)) <= 1e-5


def test_compile__without_a_compiler_is_one_sentence(
    run_dir: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", lambda _: fail)
    change(run_dir, compile=True)
    with pytest.raises(ConfigError, match=r"train.compile: .*C\+\+ compiler found\); load a C"):
        trainer(run_dir)


def test_ema__is_the_formula_over_the_steps_and_what_validation_sees(
    run_dir: Path,  # noqa: F811
) -> None:
    change(run_dir, **BASE, ema={"models": ["generator"], "decay": 0.5})
    made = trainer(run_dir)
    model = made.task.models["generator"]
    expected = copy.deepcopy(model.state_dict())
    step, validate, seen = made.task.training_step, made.task.validation_step, {}

    def recording(*arguments: Any) -> Any:
        losses = step(*arguments)
        n = made.position.global_step
        decay = min(0.5, (1 + n) / (10 + n))
        for key, value in model.state_dict().items():
            expected[key] = decay * expected[key] + (1 - decay) * value
        return losses

    def looking(batch: Any) -> Any:
        seen.update({key: value.clone() for key, value in model.state_dict().items()})
        return validate(batch)

    made.task.training_step = recording  # type: ignore[method-assign]
    made.task.validation_step = looking  # type: ignore[method-assign]
    made.fit()
    state = torch.load(run_dir / "checkpoints" / "latest", weights_only=True)
    for key, value in expected.items():
        torch.testing.assert_close(state["ema"]["models"]["generator"][key], value)
        torch.testing.assert_close(seen[key], value)
        assert torch.equal(state["models"]["generator"][key], model.state_dict()[key])
    assert distance(seen, model.state_dict()) > 1e-4


@pytest.mark.parametrize("step", [7, 10], ids=["within an epoch", "at an epoch's end"])
def test_plateau__verdict_of_a_validation_outlives_a_stop(
    run_dir: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    plateau = {"metric": "validation/rmse/generator", "patience": 0, "threshold": 0.9}
    schedule = {"kind": "plateau", "plateau": {**plateau, "factor": 0.5}}
    whole = trained(run_dir, epochs=3, schedule=schedule)
    for path in (*(run_dir / "checkpoints").glob("*"), run_dir / "eval" / "summary.json"):
        path.unlink()
    stop_at(monkeypatch, step)
    assert trainer(run_dir).fit() is False
    monkeypatch.undo()
    resumed = trainer(run_dir)
    assert resumed.fit() is True
    assert resumed.rates.plateau is not None
    assert resumed.rates.plateau.state.factor == 0.25
    for key, value in resumed.task.models["generator"].state_dict().items():
        assert torch.equal(value, whole[key])
