from __future__ import annotations

import copy
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.training import Training
from hpctrain.errors import ConfigError, TrainError
from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.precision import Precision, candidates, probe
from hpctrain.train.setup import choose_precision
from hpctrain.train.trainer import Trainer
from tests.unit.train.test_trainer import change, run_dir, trainer  # noqa: F401 - a fixture

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


def test_apply_layout__holds_behind_a_kernel_of_one_cell() -> None:
    network = nn.Sequential(nn.Conv3d(4, 8, 1), nn.LeakyReLU(0.2))
    x = torch.randn(16, 4, 3, 3, 3)  # of fewer, PyTorch has a kernel with one layout only
    assert network(x).is_contiguous()
    Precision("float32", "", "channels_last").apply_layout({"m": network})
    for made in (network, copy.deepcopy(network)):
        y = made(x)
        assert y.is_contiguous(memory_format=torch.channels_last_3d)
        assert not y.is_contiguous()


class View(nn.Module):
    """A network that only PyTorch's own order of cells suits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, **options: Any) -> Tensor:
        y: Tensor = self.inner(x.view(len(x), -1).view(x.shape), **options)
        return y


class Viewing(SuperResolutionTask):
    """Its generator is such a network."""

    def build_models(self) -> dict[str, nn.Module]:
        return {k: View(m) for k, m in super().build_models().items()}


def test_apply_layout__leaves_networks_without_convolutions_alone() -> None:
    network = View(nn.Flatten())
    Precision("bfloat16", "", "channels_last").apply_layout({"m": network})
    assert network(torch.randn(2, 4, 3, 3, 3)).shape == (2, 108)


def test_layout__falls_back_where_a_network_takes_a_view(
    run_dir: Path,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    change(run_dir, precision="bfloat16", epochs=1)
    with caplog.at_level(logging.INFO, "hpctrain"):
        made = trainer(run_dir, Viewing)
    assert str(made.precision) == "bfloat16"
    told = [line for line in caplog.messages if "left out" in line]
    assert [line.split(" (")[0] for line in told] == [
        "precision bfloat16, channels last is left out: view size is not compatible with input "
        "tensor's size and stride"
    ]
    assert made.fit() is True


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
def test_layout__asked_for_and_a_network_takes_a_view(
    run_dir: Path,  # noqa: F811
    precision: str,
) -> None:
    change(run_dir, precision=precision, memory_format="channels_last")
    with pytest.raises(ConfigError, match=r"^train\.memory_format: .* set it to contiguous"):
        trainer(run_dir, Viewing)


def test_layout__own_networks_need_no_trial(
    run_dir: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpctrain.train.setup.try_out", None)
    change(run_dir, precision="bfloat16")
    assert str(trainer(run_dir).precision) == "bfloat16, channels last"


def test_autocast__float32_has_none() -> None:
    assert Precision("float32", "").autocast(CPU) is None
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        autocast = Precision(name, "").autocast(CPU)
        assert autocast is not None
        with autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


class Picky(SuperResolutionTask):
    """Its loss needs more memory than there is, in some precisions."""

    fails: tuple[str, ...] = ("float32",)

    def _content(self, pair: Any) -> dict[str, Tensor]:
        name = "bfloat16" if torch.is_autocast_enabled("cpu") else "float32"
        if name in self.fails:
            raise torch.OutOfMemoryError(f"{name} does not fit")
        return super()._content(pair)


def test_auto__a_precision_that_fails_is_left_out(
    run_dir: Path,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    change(run_dir, precision="auto", memory_format="contiguous", epochs=1)
    with caplog.at_level(logging.INFO, "hpctrain"):
        made = trainer(run_dir, Picky)
    assert made.precision.name == "bfloat16"
    told = [line for line in caplog.messages if "left out" in line]
    assert told == ["precision float32 is left out: float32 does not fit"]
    assert "float32" not in made.precision.reason
    assert made.fit() is True


def test_auto__none_works(run_dir: Path) -> None:  # noqa: F811
    class Broken(Picky):
        fails = ("float32", "bfloat16")

    change(run_dir, precision="auto", epochs=1)
    with pytest.raises(torch.OutOfMemoryError, match="float32 does not fit"):
        trainer(run_dir, Broken)


class Pair(SingleCommunicator):
    """One of two threads that are ranks; only objects go between them."""

    def __init__(self, rank: int, meeting: threading.Barrier, table: list[Any]) -> None:
        super().__init__(Ranks(rank, 2, rank, 2, "here"), torch.device("cpu"))
        self.meeting, self.table = meeting, table

    def allgather_object(self, value: Any) -> list[Any]:
        self.table[self.rank] = value
        self.meeting.wait(30)
        found = list(self.table)
        self.meeting.wait(30)
        return found


def on_two_ranks(run_dir: Path, *fails: tuple[str, ...]) -> list[Any]:  # noqa: F811
    """What each rank chooses, or how it fails, where some precisions fail on it."""
    change(run_dir, precision="auto", memory_format="contiguous", epochs=1)
    made = [trainer(run_dir, Picky) for _ in fails]
    for one, own in zip(made, fails, strict=True):
        one.task.fails = own  # type: ignore[attr-defined]
    return chosen_by(made)


def chosen_by(made: list[Trainer]) -> list[Any]:
    """What the trainers of two ranks choose, or how they fail."""
    meeting, table, results = threading.Barrier(2), [None, None], [None, None]

    def body(rank: int) -> None:
        comm = Pair(rank, meeting, table)
        try:
            chosen = choose_precision(made[rank].task, made[rank].settings, comm, made[rank].data)
            results[rank] = str(chosen)  # type: ignore[call-overload]
        except Exception as e:  # noqa: BLE001 - it is what is looked at
            results[rank] = e  # type: ignore[call-overload]

    threads = [threading.Thread(target=body, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("fails", [(("float32",), ()), ((), ("float32",))])
def test_auto__what_fails_on_one_rank_is_left_out_on_all(
    run_dir: Path,  # noqa: F811
    fails: tuple[tuple[str, ...], ...],
) -> None:
    assert on_two_ranks(run_dir, *fails) == ["bfloat16", "bfloat16"]


def test_auto__no_precision_works_on_all_ranks(run_dir: Path) -> None:  # noqa: F811
    found = on_two_ranks(run_dir, ("float32",), ("bfloat16",))
    assert all(isinstance(e, TrainError) for e in found), found
    assert "rank 0: float32 does not fit; rank 1: bfloat16 does not fit" in str(found[0])


def test_layout__what_one_rank_needs_all_get(run_dir: Path) -> None:  # noqa: F811
    change(run_dir, precision="bfloat16", epochs=1)
    made = [trainer(run_dir, kind) for kind in (Viewing, SuperResolutionTask)]
    made[1].task.models = {k: Unlike(m) for k, m in made[1].task.models.items()}
    assert chosen_by(made) == ["bfloat16", "bfloat16"]


class Unlike(View):
    """A network that is not of ours, and yet works in any layout."""

    def forward(self, x: Tensor, **options: Any) -> Tensor:
        y: Tensor = self.inner(x, **options)
        return y
