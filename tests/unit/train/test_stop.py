from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.train.stop import StopRequest


@pytest.fixture
def stop(tmp_path: Path) -> Iterator[StopRequest]:
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    request = StopRequest(comm, tmp_path)
    yield request
    request.close()


def test_agreed__nothing_happened(stop: StopRequest) -> None:
    stop.ask()
    assert not stop.agreed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_agreed__signal(stop: StopRequest, number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    stop.ask()
    assert stop.agreed()
    assert stop.reason == f"signal {number.name}"


def test_agreed__stop_file(stop: StopRequest, tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    stop.ask()
    assert stop.agreed()
    assert "STOP" in stop.reason


def test_agreed__deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    for seconds_left, expected in ((3600.0, False), (100.0, True)):
        monkeypatch.setenv("HPCTRAIN_DEADLINE", str(time.time() + seconds_left))
        request = StopRequest(comm, tmp_path)
        request.needs(200.0)
        request.ask()
        assert request.agreed() is expected
        request.close()


def test_close__gives_the_handlers_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    StopRequest(comm, tmp_path).close()
    assert signal.getsignal(signal.SIGTERM) is before
