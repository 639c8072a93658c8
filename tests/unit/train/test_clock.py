"""The stopwatch of the loop."""

from __future__ import annotations

import threading
import time

from hpctrain.train.background import Background
from hpctrain.train.clock import Clock


def test_start__what_was_aside_before_is_no_part_of_the_next_step() -> None:
    """As after an epoch's end, behind which the run goes back to a checkpoint."""
    clock = Clock(1)
    clock.start()
    clock.end()
    with clock.aside():
        time.sleep(0.05)
    clock.start()
    clock.end()
    assert clock.counted_s > 0
    assert clock.take()[0] > 0


def test_take_cpu_s__counts_work_and_neither_sleep_nor_what_is_aside() -> None:
    clock = Clock(1)
    clock.start()
    time.sleep(0.2)
    assert clock.take_cpu_s() < 0.1
    with clock.aside():
        work(0.2)
    assert clock.take_cpu_s() < 0.1
    work(0.2)
    assert clock.take_cpu_s() >= 0.2


def test_take_cpu_s__does_not_count_work_beside_the_steps_whenever_it_ends() -> None:
    writer, gate = Background("writer"), threading.Event()
    clock = Clock(1, beside=lambda: writer.cpu_s)
    clock.start()
    writer.start(lambda: (work(0.2), gate.wait(60), work(0.2))[0])
    time.sleep(0.3)
    assert clock.take_cpu_s() < 0.1
    with clock.aside():
        gate.set()
        time.sleep(0.05)  # a part of it is set aside, too, and taken off once alone
    writer.wait()
    assert abs(clock.take_cpu_s()) < 0.1
    assert writer.cpu_s >= 0.4


def work(cpu_s: float) -> None:
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        sum(range(1000))
