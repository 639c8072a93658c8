from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from hpctrain.config.training import Training
from hpctrain.train.precision import Precision, candidates, probe

CPU = torch.device("cpu")
CHOICES = [Precision("float32", ""), Precision("bfloat16", "", "channels_last")]


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "expected"),
    [(0.02, 0.002, "bfloat16"), (0.002, 0.02, "float32")],
)
def test_probe__takes_the_faster(float32_s: float, bfloat16_s: float, expected: str) -> None:
    seconds = {"float32": float32_s, "bfloat16": bfloat16_s}
    chosen = probe(lambda precision: time.sleep(seconds[precision.name]), CPU, CHOICES)
    assert chosen.name == expected
    assert "float32" in chosen.reason
    assert "bfloat16, channels last" in chosen.reason


def test_probe__one_disturbed_step_does_not_decide() -> None:
    calls: list[str] = []

    def step(precision: Precision) -> None:
        calls.append(precision.name)
        is_bfloat16 = precision.name == "bfloat16"
        is_disturbed = is_bfloat16 and calls.count("bfloat16") == 2
        time.sleep(0.05 if is_disturbed else 0.002 if is_bfloat16 else 0.01)

    assert probe(step, CPU, CHOICES).name == "bfloat16"


def test_probe__layouts_are_compared_by_themselves() -> None:
    choices = candidates(Training(epochs=1, global_batch_size=1))
    assert [str(c) for c in choices] == [
        "float32",
        "bfloat16",
        "float32, channels last",
        "bfloat16, channels last",
    ]
    seconds = {str(c): 0.02 for c in choices} | {"float32, channels last": 0.001}
    chosen = probe(lambda precision: time.sleep(seconds[str(precision)]), CPU, choices)
    assert (chosen.name, chosen.memory_format) == ("float32", "channels_last")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"precision": "float32"}, "float32"),
        ({"precision": "bfloat16"}, "bfloat16, channels last"),
        ({"precision": "float16", "memory_format": "contiguous"}, "float16"),
        ({"precision": "float32", "memory_format": "channels_last"}, "float32, channels last"),
        ({"deterministic": True}, "float32"),
    ],
)
def test_candidates__one_where_nothing_is_to_be_measured(settings: dict, expected: str) -> None:
    assert [str(c) for c in candidates(Training(epochs=1, global_batch_size=1, **settings))] == [
        expected
    ]


def test_apply_layout__changes_2d_and_3d_networks() -> None:
    for layout in ("contiguous", "channels_last"):
        model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv3d(4, 4, 3))
        Precision("float32", "", layout).apply_layout({"m": model})
        formats = (torch.channels_last, torch.channels_last_3d)
        for layer, memory_format in zip(model, formats, strict=True):
            is_last = layer.weight.is_contiguous(memory_format=memory_format)
            assert is_last is (layout == "channels_last")


def test_autocast__float32_has_none() -> None:
    assert Precision("float32", "").autocast(CPU) is None
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        autocast = Precision(name, "").autocast(CPU)
        assert autocast is not None
        with autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
