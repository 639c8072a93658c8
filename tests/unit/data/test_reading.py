"""How many threads read: chosen by measuring real samples, never by luck of an error."""

import threading
import time

from hpctrain.data import reading
from hpctrain.data.reading import choose_reading
from hpctrain.errors import DataError


class Slow:
    """Samples that take their time, side by side (a network) or one after another (a disk)."""

    input_shape = target_shape = (1, 4, 4, 4)

    def __init__(self, seconds, is_parallel=True):
        self.seconds, self.is_parallel = seconds, is_parallel
        self.lock = threading.Lock()
        self.read = []

    def read_into(self, i, epoch, x, y):
        self.read.append(i)
        if self.is_parallel:
            time.sleep(self.seconds)
        else:
            with self.lock:
                time.sleep(self.seconds)


def choose(data, cores=8, workers=None, prefetch=None, ids=range(10**6)):
    return choose_reading(data, iter(ids), cores, 4, workers, prefetch)


def test_choose__threads_that_help_are_taken():
    data = Slow(0.01)
    found = choose(data)
    assert found.workers >= 2
    assert "8 cores a rank; measured" in found.reason
    assert len(set(data.read)) == len(data.read)  # no sample twice: a second reading is faster


def test_choose__threads_that_do_not_help_are_not():
    assert choose(Slow(0.01, is_parallel=False)).workers == 1


def test_choose__one_core_needs_no_comparison():
    found = choose(Slow(0.01), cores=1)
    assert found.workers == 1
    assert found.prefetch_batches >= 4


def test_choose__what_is_given_is_kept():
    data = Slow(0.01)
    assert choose(data, workers=3, prefetch=7) == reading.Reading(3, 7, "asked for")
    assert data.read == []
    assert choose(data, workers=3).workers == 3
    assert choose(data, prefetch=7).prefetch_batches == 7


def test_choose__slow_samples_end_the_measurement(monkeypatch):
    monkeypatch.setattr(reading, "_SLOW_SAMPLE_S", 0.02)
    monkeypatch.setattr(reading, "_BUDGET_S", 0.0)
    data = Slow(0.03)
    choose(data)
    assert len(data.read) <= 4  # one that counts, those under way beside it


def test_choose__an_error_is_left_to_the_training():
    class Bad(Slow):
        def read_into(self, i, epoch, x, y):
            raise DataError("bad sample")

    assert choose(Bad(0)).reason == "no measurement: DataError"


def test_choose__no_samples():
    assert choose(Slow(0), ids=()).workers == 1


def test_choose__memory_bounds_what_is_read_ahead():
    class Large(Slow):
        input_shape = target_shape = (4, 512, 512, 64)

        def read_into(self, i, epoch, x, y):
            pass

    assert reading._ahead(Large(0), reading._Trial(2, 1.0, 3.0), batch_size=4) == 2
