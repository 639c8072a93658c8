from __future__ import annotations

import threading

import pytest

from hpctrain.errors import CheckpointError
from hpctrain.train.background import Background


def test_start__waits_for_the_work_before() -> None:
    writer, gate, order = Background("writer"), threading.Event(), []

    def first() -> None:
        gate.wait(60)
        order.append("first")

    writer.start(first)
    writer.look()  # still at work: returns at once
    assert order == []
    threading.Timer(0.05, gate.set).start()
    writer.start(lambda: order.append("second"))
    writer.wait()
    assert order == ["first", "second"]
    assert writer.longest_s > 0


def test_outcome__is_taken_in_the_callers_thread() -> None:
    writer, seen = Background("writer"), []
    writer.start(lambda: lambda: seen.append(threading.current_thread()))
    writer.wait()
    writer.wait()
    assert seen == [threading.current_thread()]


def fails() -> None:
    raise CheckpointError("no room")


@pytest.mark.parametrize("ask", ["look", "wait", "start"])
def test_error__is_raised_once_where_it_is_asked_for(ask: str) -> None:
    writer = Background("writer")
    writer.start(fails)
    assert writer._thread is not None
    writer._thread.join()
    with pytest.raises(CheckpointError, match="no room"):
        writer.start(lambda: None) if ask == "start" else getattr(writer, ask)()
    writer.wait()


def test_wait__gives_up_after_the_timeout() -> None:
    writer, gate = Background("writer"), threading.Event()
    writer.start(lambda: gate.wait(60) and None)
    writer.wait(timeout_s=0.01)
    gate.set()
    writer.wait()
