from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from hpctrain.train.precision import Precision, probe

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "expected"),
    [(0.01, 0.002, "bfloat16"), (0.002, 0.01, "float32"), (0.005, 0.005, "float32")],
)
def test_probe__takes_the_faster(float32_s: float, bfloat16_s: float, expected: str) -> None:
    seconds = {"float32": float32_s, "bfloat16": bfloat16_s}
    chosen = probe(lambda precision: time.sleep(seconds[precision.name]), CPU)
    assert chosen.name == expected
    assert "float32" in chosen.reason
    assert "bfloat16" in chosen.reason


def test_probe__one_disturbed_step_does_not_decide() -> None:
    calls: list[str] = []

    def step(precision: Precision) -> None:
        calls.append(precision.name)
        is_disturbed = precision.is_bfloat16 and calls.count("bfloat16") == 2
        time.sleep(0.05 if is_disturbed else 0.002 if precision.is_bfloat16 else 0.01)

    assert probe(step, CPU).name == "bfloat16"


def test_apply_layout__only_bfloat16_changes_it() -> None:
    for name, expected in (("float32", False), ("bfloat16", True)):
        model = nn.Conv3d(4, 4, 3)
        Precision(name, "").apply_layout({"m": model})
        is_last = model.weight.is_contiguous(memory_format=torch.channels_last_3d)
        assert is_last is expected


def test_autocast__float32_has_none() -> None:
    assert Precision("float32", "").autocast(CPU) is None
    autocast = Precision("bfloat16", "").autocast(CPU)
    assert autocast is not None
    with autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
