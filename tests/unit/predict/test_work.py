"""How outputs come into being: what is left of a prediction that ends early, and who is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hpctrain.data import inputs, source
from hpctrain.errors import ConfigError
from hpctrain.predict import ranks
from hpctrain.predict.outputs import Output
from hpctrain.predict.ranks import OtherRankError
from hpctrain.predict.work import Work
from tests.unit.predict.made import make_run, run_predict, values_of
from tests.unit.predict.test_exact import BOX, SR, field_run, write_boxes

NOISY = """
from torch import nn


class Noisy(nn.Module):
    def __init__(self, inputs, targets):
        super().__init__()
        self.conv = nn.Conv3d(inputs, targets, 1)

    def forward(self, x, noise):
        for _ in range(x.shape[-1] // {cells}):
            x = x + noise(x)
        return self.conv(x)
"""

VIEWING = """
from torch import nn


class Viewing(nn.Module):
    def __init__(self, inputs, targets):
        super().__init__()
        self.conv = nn.Conv3d(inputs, targets, 1)

    def forward(self, x):
        return self.conv(x.view(len(x), -1).view(x.shape))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_boxes(tmp_path / "data", {"hr": (2, 16, 16, 16), "lr": (2, 8, 8, 8)})
    data = {**BOX, "inputs": ["lr*.npy"], "targets": ["hr*.npy"]}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
    return make_run(tmp_path / "data", data, train)


def test_sigterm__leaves_nothing_and_ends_with_143(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = Output.write

    def last_write(self: Output, block: object, values: object) -> None:
        write(self, block, values)  # type: ignore[arg-type]
        assert list((tmp_path / "out").iterdir()) == [self.part]
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Output, "write", last_write)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        run_predict(run, tmp_path / "out" / "a.npy")
    assert left.value.code == 143
    assert "ended by SIGTERM" in capfd.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_leftovers__of_dead_processes_here_are_taken_away(
    run: Path, tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    out, host = tmp_path / "out", socket.gethostname()
    tags = (f"a.{host}-{gone.pid}", f"a.{host}-{os.getppid()}", "a.far-1", f"b.{host}-{gone.pid}")
    dead, alive, elsewhere, other = (out / f".{tag}.part{suffix}" for tag in tags)
    for path in (dead, alive, elsewhere, other):
        path.mkdir(parents=True)
    mark = out / f".a.{host}-0{gone.pid}.part{suffix}.failed"  # whose own file is not there
    mark.touch()
    run_predict(run, out / f"a{suffix}")
    hidden = {path.name for path in out.iterdir() if path.name.startswith(".")}
    assert hidden == {alive.name, elsewhere.name, other.name}
    told = capfd.readouterr().err
    assert f"{dead}: left by a prediction that was killed, taken away" in told


def test_work__ends_at_the_next_block_once_another_rank_has_failed(tmp_path: Path) -> None:
    part = tmp_path / ".a.here-1.part.npy"
    output = Output.__new__(Output)
    output.part = part
    done: list[int] = []

    def block(sample: int, *_: object) -> None:
        done.append(sample)
        output.mark_failed()

    work = Work.__new__(Work)
    work._comm = SimpleNamespace(rank=1, world_size=2)  # type: ignore[assignment]
    work._blocks = [None] * 6  # type: ignore[list-item]
    output.write = lambda block, values: None  # type: ignore[method-assign]
    work._ready = SimpleNamespace(  # type: ignore[assignment]
        outputs=[output], draws=[(0, None)], predictor=SimpleNamespace(block=block),
        progress=SimpleNamespace(add=None), inputs=SimpleNamespace(let_go=lambda sample: None),
    )  # fmt: skip
    with pytest.raises(OtherRankError):
        work._compute([0])
    assert done == [0]


def test_create__takes_away_a_mark_of_its_own_name(tmp_path: Path) -> None:
    output = Output.__new__(Output)
    output.path, output.part = tmp_path / "a.npy", tmp_path / ".a.far-1.part.npy"
    created: list[bool] = []
    output._writer = SimpleNamespace(  # type: ignore[assignment]
        create=lambda: created.append(output.is_marked_failed())
    )
    output.mark_failed()
    output.create()
    assert created == [False]


def outcome(rank: int, told: list[tuple[bool, bool]], work: Callable[[], None]) -> str:
    """What `together` raises on a rank, whose others say what is told."""
    own: list[tuple[bool, bool]] = []

    def allgather(value: tuple[bool, bool]) -> list[tuple[bool, bool]]:
        own.append(value)
        return told

    comm = SimpleNamespace(rank=rank, world_size=len(told), allgather_object=allgather)
    try:
        ranks.together(comm, work)  # type: ignore[arg-type]
    except (OtherRankError, ConfigError, ZeroDivisionError) as e:
        return f"{type(e).__name__} {e}"
    finally:
        assert own == [told[rank]]
    return "went on"


def leave() -> None:
    raise OtherRankError


def fail() -> None:
    raise ZeroDivisionError


def test_together__who_tells() -> None:
    well, failed, left = (False, False), (True, False), (False, True)
    assert outcome(0, [well, well], lambda: None) == "went on"
    assert outcome(1, [left, failed], fail).startswith("ZeroDivisionError")
    assert outcome(0, [left, failed], leave).startswith("OtherRankError")
    for told in ([left, left], [well, left]):
        first = told.index(left)
        text = outcome(first, told, leave)
        assert text.startswith(f"ConfigError --out: {told.count(left)} of 2 ranks found a mark")
    assert outcome(1, [left, left], leave).startswith("OtherRankError")
    assert outcome(0, [well, left], lambda: None).startswith("OtherRankError")


def test_meeting__is_of_one_start_and_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hpctrain", "predict", "run", "--out", "a.nc"])
    first = ranks._meeting()
    assert ranks._meeting() == first
    monkeypatch.setenv("SLURM_STEP_ID", "7")
    assert ranks._meeting() != first
    monkeypatch.delenv("SLURM_STEP_ID")
    monkeypatch.setattr(sys, "argv", ["hpctrain", "predict", "run", "--out", "b.nc"])
    assert ranks._meeting() != first


@pytest.mark.parametrize(("cells", "is_told"), [(1, True), (1000, False)])
def test_noise__that_belongs_to_tiles_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    cells: int, is_told: bool,
) -> None:  # fmt: skip
    (tmp_path / f"noisy{cells}.py").write_text(NOISY.format(cells=cells))
    monkeypatch.syspath_prepend(str(tmp_path))
    own = {"kind": f"noisy{cells}.Noisy", "channels": None, "levels": None, "norm": None}
    made = field_run(tmp_path / "data", **own)
    values_of(made, tmp_path)
    text = "layers of noise cannot be located, so that each tile draws its own"
    assert (text in capfd.readouterr().err) == is_told
    values_of(made, tmp_path, has_noise=False)
    assert text not in capfd.readouterr().err


def test_half_precision__does_not_change_the_layout_of_a_users_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "viewing.py").write_text(VIEWING)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = {"kind": "viewing.Viewing", "channels": None, "levels": None, "norm": None}
    made = field_run(tmp_path / "data", **own)
    full, half = (values_of(made, tmp_path, precision=p) for p in ("float32", "bfloat16"))
    assert 0 < np.abs(half - full).max() < 0.05 * np.abs(full).max()


def test_files__are_opened_anew_only_after_much_was_read(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    real = source.open_group
    monkeypatch.setattr(source, "open_group", lambda *a: (opened.append(a), real(*a))[1])
    few = values_of(run, tmp_path, tile=(2,))
    num_few = len(opened)
    monkeypatch.setattr(inputs, "_MOST_READ", 0)
    many = values_of(run, tmp_path, tile=(2,))
    assert np.array_equal(few, many)
    assert len(opened) - num_few >= num_few + 60  # 64 tiles
