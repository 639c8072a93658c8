"""The sampler that a job asks for, and when the page cache is told of the order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hpctrain.data import DividedSampler, GlobalSampler
from hpctrain.data.sampler import stream
from hpctrain.train import order
from tests.jobs import mantle


class Samples:
    """40 samples in 10 files of a thousand bytes."""

    samples_per_file = 4

    def __init__(self, folder: Path) -> None:
        self._file = folder / "file"
        self._file.write_bytes(bytes(1000))
        self.released: list[int] = []

    def __len__(self) -> int:
        return 40

    def paths(self, i: int) -> list[Path]:
        return [self._file]

    def release(self, i: int) -> None:
        self.released.append(i // 4)


@pytest.fixture
def samples(tmp_path):
    return Samples(tmp_path)


def job(*settings: str):
    return mantle("local", "train.global_batch_size=4", *settings).job


def helped(samples, monkeypatch, memory: int, *settings: str, world_size: int = 1):
    monkeypatch.setattr(order, "memory_bytes", lambda: memory)
    sampler = order.make_sampler(job(*settings), samples)
    comm = SimpleNamespace(
        rank=0, world_size=world_size, ranks=SimpleNamespace(local_size=world_size)
    )
    shares = stream(sampler, 0, world_size, epochs=1)
    found, after = order.with_page_cache(sampler, samples, shares, comm)
    return found is not shares, after, list(found)


DIVIDED = "data.order={kind: divided, parts: 1}"


def test_sampler__as_the_job_says(samples):
    assert type(order.make_sampler(job(), samples)) is GlobalSampler
    divided = order.make_sampler(job(DIVIDED, "train.last_batch=keep"), samples)
    assert isinstance(divided, DividedSampler)
    assert (divided.num_parts, divided.samples_per_file, divided.is_last_kept) == (1, 4, True)


def test_global_order__nothing_is_told(samples, monkeypatch):
    is_ahead, after, _ = helped(samples, monkeypatch, 1)
    assert (is_ahead, after) == (False, None)


def test_data_that_fit_into_memory__are_read_ahead_and_stay(samples, monkeypatch):
    is_ahead, after, shares = helped(samples, monkeypatch, 10_000, DIVIDED)
    assert (is_ahead, after) == (True, None)
    assert sorted(i for own in shares for i in own.ids) == list(range(40))


def test_data_that_do_not_fit__are_let_go_once_used(samples, monkeypatch, caplog):
    monkeypatch.setattr(order.Window, "of", lambda *_: order.Window(2, 4))
    is_ahead, after, shares = helped(samples, monkeypatch, 9_999, DIVIDED)
    assert is_ahead
    for own in shares:
        for i in own.ids:
            after(i, own.epoch)
    assert sorted(samples.released) == list(range(10))
    assert not caplog.records


def test_window_that_does_not_fit__is_said(samples, monkeypatch):
    told = []
    monkeypatch.setattr(order.logger, "warning", lambda *words: told.append(words))
    is_ahead, after, _ = helped(samples, monkeypatch, 2_000, DIVIDED)
    assert (is_ahead, after) == (False, None)
    assert "lower data.order.shuffle_distance" in told[0][0]
