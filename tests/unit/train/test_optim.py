"""LARS and LAMB against their papers' formulas, written out here; options of all optimizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hpctrain.config.optimizer import Optimizer
from hpctrain.errors import ConfigError
from hpctrain.train.optimizers import build_optimizer

STEPS = 7
RATES = np.linspace(0.02, 0.1, STEPS)
"""A rate that changes, as in a warm-up."""


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(3)
    return [nn.Parameter(t) for t in (torch.randn(4, 5), torch.randn(6), torch.zeros(2, 3))]


def gradient(i: int, k: int) -> np.ndarray:
    return np.random.default_rng([i, k]).standard_normal(parameters()[k].shape)


def steps(settings: Optimizer, folder: Path | None = None) -> list[np.ndarray]:
    """Parameters after some steps; in the middle through a file, if a folder is given."""
    own = parameters()
    optimizer = build_optimizer(settings, own)
    for i in range(STEPS):
        if folder and i == STEPS // 2:
            torch.save(optimizer.state_dict(), folder / "state.pt")
            optimizer = build_optimizer(settings, own)
            optimizer.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
        for k, p in enumerate(own):
            p.grad = torch.tensor(gradient(i, k), dtype=torch.float32)
        for group in optimizer.param_groups:
            group["lr"] = float(RATES[i])
        optimizer.step()
    return [p.detach().double().numpy() for p in own]


def lars(k: int, eta: float, m: float, decay: float, is_adapted: bool) -> np.ndarray:
    """You et al. 2017, algorithm 1."""
    w = parameters()[k].detach().double().numpy()
    v = np.zeros_like(w)
    for i in range(STEPS):
        g = gradient(i, k)
        size = np.sqrt((w**2).sum())
        local = eta * size / (np.sqrt((g**2).sum()) + decay * size) if is_adapted and size else 1.0
        v = m * v + RATES[i] * local * (g + decay * w)
        w = w - v
    return w


def lamb(k: int, b1: float, b2: float, eps: float, decay: float, is_adapted: bool) -> np.ndarray:
    """You et al. 2020, algorithm 2."""
    x = parameters()[k].detach().double().numpy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    for i in range(STEPS):
        g = gradient(i, k)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1 ** (i + 1))) / (np.sqrt(v / (1 - b2 ** (i + 1))) + eps)
        u = r + decay * x
        ratio = np.sqrt((x**2).sum()) / np.sqrt((u**2).sum())
        x = x - RATES[i] * (ratio if is_adapted and ratio else 1.0) * u
    return x


@pytest.mark.parametrize("exclude_1d", [False, True])
def test_lars__equals_the_paper(exclude_1d: bool, tmp_path: Path) -> None:
    settings = Optimizer(
        name="LARS", momentum=0.8, weight_decay=0.01, trust_coefficient=0.02, exclude_1d=exclude_1d
    )
    found = steps(settings, tmp_path)
    for k in range(3):
        is_plain = exclude_1d and k == 1
        expected = lars(k, 0.02, 0.8, 0.0 if is_plain else 0.01, not is_plain)
        np.testing.assert_allclose(found[k], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("exclude_1d", [False, True])
def test_lamb__equals_the_paper(exclude_1d: bool, tmp_path: Path) -> None:
    settings = Optimizer(
        name="LAMB", betas=(0.8, 0.95), eps=1e-5, weight_decay=0.01, exclude_1d=exclude_1d
    )
    found = steps(settings, tmp_path)
    for k in range(3):
        is_plain = exclude_1d and k == 1
        expected = lamb(k, 0.8, 0.95, 1e-5, 0.0 if is_plain else 0.01, not is_plain)
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["AdamW", "SGD", "Adam", "RMSprop"])
def test_implementations__agree(name: str) -> None:
    options: dict[str, Any] = {"name": name, "weight_decay": 0.01}
    if name == "SGD":
        options |= {"momentum": 0.9, "nesterov": True}
    plain = steps(Optimizer(**options, implementation="for_loop"))
    others = ["foreach"] if name == "RMSprop" else ["foreach", "fused"]
    for other in others:
        for a, b in zip(plain, steps(Optimizer(**options, implementation=other)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["AdamW", "Adam", "Adagrad"])
def test_auto__is_fused_on_cpus(name: str) -> None:
    made = build_optimizer(Optimizer.model_validate({"name": name}), parameters())
    assert made.param_groups[0]["fused"]
    plain = Optimizer.model_validate({"name": name, "implementation": "for_loop"})
    assert not build_optimizer(plain, parameters()).param_groups[0]["fused"]


@pytest.mark.parametrize("name", ["AdamW", "Adam", "Adagrad", "SGD"])
def test_auto__takes_gradients_that_come_late(name: str) -> None:
    """As of a layer that is frozen at first; torch's fused SGD with momentum fails there."""
    found = []
    for how in ("auto", "for_loop"):
        weights = parameters()
        options: dict[str, Any] = {"name": name, "implementation": how, "learning_rate": 0.01}
        options |= {"momentum": 0.9} if name == "SGD" else {}
        made = build_optimizer(Optimizer.model_validate(options), weights)
        for step in range(4):
            for k, weight in enumerate(weights):
                weight.grad = None if k == 0 and step < 2 else torch.ones_like(weight) * (step + 1)
            made.step()
        found.append([weight.detach().clone() for weight in weights])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_auto__stays_torchs_where_nothing_is_fused() -> None:
    assert not build_optimizer(Optimizer(name="SGD"), parameters()).param_groups[0].get("fused")
    assert "fused" not in build_optimizer(Optimizer(name="RMSprop"), parameters()).param_groups[0]
    assert "fused" not in build_optimizer(Optimizer(name="LARS"), parameters()).param_groups[0]


def test_exclude_1d__spares_biases_the_weight_decay() -> None:
    groups = build_optimizer(
        Optimizer(name="AdamW", weight_decay=0.1, exclude_1d=True), parameters()
    ).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(2, 0.1), (1, 0.0)]


def test_sgd__takes_no_betas_by_default() -> None:
    """The resolved job file spells the default out, which must not be refused."""
    settings = Optimizer.model_validate(Optimizer(name="SGD", momentum=0.5).model_dump())
    assert build_optimizer(settings, parameters()).param_groups[0]["momentum"] == 0.5


REFUSED = [
    ({"name": "SGD", "betas": (0.5, 0.9)}, "SGD takes no betas"),
    ({"name": "Adam", "momentum": 0.9}, "Adam takes no momentum"),
    ({"name": "LARS", "eps": 1e-3}, "LARS takes no eps"),
    ({"name": "LAMB", "implementation": "fused"}, "LAMB takes no implementation"),
    ({"name": "AdamW", "trust_coefficient": 0.1}, "AdamW takes no trust_coefficient"),
    ({"name": "SGD", "nesterov": True}, "nesterov has no effect without momentum"),
    ({"name": "AdamW", "exclude_1d": True}, "exclude_1d has no effect without weight_decay"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_option__that_the_optimizer_does_not_take(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Optimizer(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Rprop", "weight_decay": 0.1}, "Rprop takes no weight_decay"),
        ({"name": "Adagrad", "momentum": 0.1}, "Adagrad takes no momentum"),
        ({"name": "Adadelta", "implementation": "fused"}, "no fused implementation"),
        ({"name": "LARZ"}, "choose from LARS, LAMB, .*did you mean 'LARS'"),
    ],
)
def test_option__that_only_the_class_knows(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_optimizer(Optimizer(**options), parameters())
