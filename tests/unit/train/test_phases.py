from __future__ import annotations

import time

import pytest
import torch

from hpctrain.train import phases as phases_module
from hpctrain.train.clock import Clock
from hpctrain.train.phases import PHASES, Phases


def test_take__shares_of_all_phases_add_up_to_one() -> None:
    phases = Phases()
    time.sleep(0.02)
    phases.mark("data")
    phases.mark("optimizer")
    shares = phases.take()
    assert tuple(shares) == PHASES
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["data"] > 0.5 > shares["optimizer"] > 0


def test_take__starts_anew_and_is_empty_without_marks() -> None:
    phases = Phases()
    phases.mark("data")
    phases.take()
    assert phases.take() == {}


def test_clock__what_is_aside_belongs_to_no_phase() -> None:
    clock = Clock(global_batch_size=4)
    clock.start()
    time.sleep(0.01)
    clock.mark("data")
    with clock.aside():
        time.sleep(0.2)
    clock.mark("other")
    clock.end()
    _, shares = clock.take()
    assert shares["data"] > shares["other"]
    assert clock.longest_aside_s >= 0.2
    assert clock.needed_s(write_s=10.0) >= 2 * (10.0 + 0.2)


class FakeEvent:
    """An event whose time is the number of events before it; passed or not."""

    count = 0
    passed = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        FakeEvent.count += 1
        self.at = FakeEvent.count

    def query(self) -> bool:
        return self.at <= FakeEvent.passed

    def elapsed_time(self, other: FakeEvent) -> float:
        return 1e3 * (other.at - self.at)


def test_cuda__events_are_read_when_passed_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases_module.torch.cuda, "Event", FakeEvent)
    phases = Phases(torch.device("cuda", 0))
    phases.mark("data")
    phases.mark("forward_backward")
    phases.begin()
    phases.mark("data")
    phases.mark("other")
    FakeEvent.passed = 5
    assert phases.take() == {**dict.fromkeys(PHASES, 0.0), "data": 2 / 3, "forward_backward": 1 / 3}
    assert len(phases._free) == 4
    FakeEvent.passed = 6
    assert phases.take()["other"] == 1
