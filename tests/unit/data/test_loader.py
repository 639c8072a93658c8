"""Reading ahead: order, errors, threads, gaps."""

import threading
import time

import numpy as np
import pytest
import torch

from hpctrain.data import BatchLoader, GlobalSampler, SequentialSampler
from hpctrain.data.sampler import stream
from hpctrain.errors import DataError

from .builders import box, dataset, read, sphere, write_boxes, write_spheres


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


@pytest.fixture
def data(tmp_path):
    write_spheres(tmp_path)
    return dataset(sphere(tmp_path))


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_loader__equals_reading_one_by_one(data, workers):
    sampler = GlobalSampler(len(data), 4, seed=0)
    shares = list(stream(sampler, 1, 2, epochs=3))
    with BatchLoader(data, iter(shares), workers, prefetch_batches=3) as loader:
        for expected, batch in zip(shares, loader, strict=True):
            assert (batch.ids, batch.epoch, batch.step) == (
                expected.ids, expected.epoch, expected.step,
            )  # fmt: skip
            for k, i in enumerate(batch.ids):
                x, y = read(data, i, batch.epoch)
                np.testing.assert_array_equal(batch.input[k], x)
                np.testing.assert_array_equal(batch.target[k], y)


@pytest.mark.parametrize(("workers", "world_size"), [(0, 2), (1, 3), (3, 2), (5, 1)])
def test_loader__workers_and_ranks_change_no_bit_of_a_batch(data, workers, world_size):
    """Augmentation is on, and the last batch of each epoch is short."""
    sampler = GlobalSampler(len(data), 5, seed=0, is_last_kept=True)
    assert data.fields.augment.roll_longitude
    with BatchLoader(data, stream(sampler, 0, 1, epochs=3), workers=0) as alone:
        expected = [(b.ids, b.input, b.target) for b in alone]
    parts = []
    for rank in range(world_size):
        shares = stream(sampler, rank, world_size, epochs=3)
        with BatchLoader(data, shares, workers) as loader:
            parts.append([b for b in loader])
    for (ids, x, y), *found in zip(expected, *parts, strict=True):
        own = [b for b in found if b.num_samples]
        assert sum((b.ids for b in own), ()) == ids
        assert torch.equal(torch.cat([b.input for b in own]), x)
        assert torch.equal(torch.cat([b.target for b in own]), y)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__resumes_in_the_middle_of_an_epoch(data, workers):
    sampler = GlobalSampler(len(data), 4, seed=0)
    with BatchLoader(data, stream(sampler, 0, 1, epochs=2), workers) as whole:
        expected = list(whole)[2:]
    with BatchLoader(data, stream(sampler, 0, 1, step=2, epochs=2), workers) as rest:
        for a, b in zip(expected, rest, strict=True):
            assert (a.ids, a.epoch, a.step) == (b.ids, b.epoch, b.step)
            assert torch.equal(a.target, b.target)
            assert torch.equal(a.input, b.input)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_loader__error_is_raised_at_its_batch_with_its_message(tmp_path, workers):
    write_boxes(tmp_path)
    values = np.load(tmp_path / "f1.npy")
    values[0, 1, 2, 3] = np.inf
    np.save(tmp_path / "f1.npy", values)
    data = dataset(box(tmp_path))
    loader = BatchLoader(data, stream(SequentialSampler(16, 2), 0, 1), workers)
    assert [next(loader).ids for _ in range(4)] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    with pytest.raises(DataError, match=r"f1\.npy: 'f_0' is inf at index \[x 1, y 2, z 3\]"):
        next(loader)
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__error_of_the_order_is_raised_too(data, workers):
    def broken():
        yield from stream(SequentialSampler(4, 2), 0, 1)
        raise OSError("no more order")

    with BatchLoader(data, broken(), workers) as loader:
        assert [next(loader).ids for _ in range(2)] == [(0, 1), (2, 3)]
        with pytest.raises(OSError, match="no more order"):
            next(loader)


def test_loader__reads_no_further_ahead_than_asked(data):
    taken = []

    def counted():
        for share in stream(GlobalSampler(len(data), 2, 0), 0, 1, epochs=100):
            taken.append(share)
            yield share

    with BatchLoader(data, counted(), workers=2, prefetch_batches=3) as loader:
        for number in range(1, 6):
            next(loader)
            time.sleep(0.02)
            assert number <= len(taken) <= number + 3


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_loader__no_gap_between_epochs(data, workers):
    sampler = GlobalSampler(len(data), 4, seed=0)
    gaps = []
    with BatchLoader(data, stream(sampler, 0, 1, epochs=20), workers) as loader:
        last = time.perf_counter()
        for batch in loader:
            now = time.perf_counter()
            if batch.epoch and batch.step == 0:
                gaps.append(now - last)
            last = now
    assert len(gaps) == 19
    assert sorted(gaps)[len(gaps) // 2] < 0.05


def test_loader__close_in_the_middle_joins_the_threads(data):
    loader = BatchLoader(data, stream(GlobalSampler(len(data), 2, 0), 0, 1, epochs=100), 3)
    next(loader)
    loader.close()
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__empty_shares_are_filled_to_keep_ranks_in_step(data, workers):
    sampler = SequentialSampler(5, 4)
    with BatchLoader(data, stream(sampler, 0, 4), workers) as loader:
        batches = list(loader)
    assert [tuple(b.target.shape) for b in batches] == [(1, *data.target_shape)] * 2
    assert [(b.num_samples, b.num_global) for b in batches] == [(1, 4), (0, 1)]


def test_loader__counts_the_time_that_the_loop_waited(data):
    shares = stream(GlobalSampler(len(data), 4, 0), 0, 1)
    with BatchLoader(data, shares, workers=0) as loader:
        start = time.perf_counter()
        list(loader)
        assert 0 < loader.waited_s <= time.perf_counter() - start


def test_batch__micro_parts_make_up_the_whole(data):
    shares = stream(GlobalSampler(len(data), 4, 0), 0, 1)
    with BatchLoader(data, shares, workers=0) as loader:
        batch = next(loader)
    parts = batch.micro(2)
    assert sum((p.ids for p in parts), ()) == batch.ids
    assert torch.equal(torch.cat([p.input for p in parts]), batch.input)
    assert torch.equal(torch.cat([p.target for p in parts]), batch.target)
    assert [p.ids for p in batch.micro(3)] == [batch.ids[:1], batch.ids[1:2], batch.ids[2:]]


def test_batch__micro_parts_beyond_the_samples_count_nothing(data):
    with BatchLoader(data, stream(GlobalSampler(len(data), 2, 0), 0, 1), workers=0) as loader:
        parts = next(loader).micro(3)
    assert [p.num_samples for p in parts] == [0, 1, 1]
    assert [len(p.target) for p in parts] == [1, 1, 1]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_loader__batches_arrive_on_the_device(data, workers):
    sampler = GlobalSampler(len(data), 4, seed=0)
    with BatchLoader(data, stream(sampler, 0, 1, epochs=3), workers) as plain:
        expected = list(plain)
    device = torch.device("cuda", 0)
    with BatchLoader(data, stream(sampler, 0, 1, epochs=3), workers, device=device) as loader:
        for a, b in zip(expected, loader, strict=True):
            assert b.input.device == device
            assert torch.equal(a.input, b.input.cpu())
            assert torch.equal(a.target, b.target.cpu())


class FakeCopies:
    """Stands for the copy stream of a CUDA device: notes what was staged and taken, in order."""

    def __init__(self):
        self.events = []

    def stage(self, batch):
        self.events.append(("stage", batch.step))
        return batch

    def take(self, staged):
        self.events.append(("take", staged.step))
        return staged


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__copies_the_next_batch_beside_this_one(data, workers):
    sampler = GlobalSampler(len(data), 4, seed=0)
    with BatchLoader(data, stream(sampler, 0, 1), workers, prefetch_batches=4) as loader:
        loader._copies = copies = FakeCopies()
        steps = []
        for batch in loader:
            steps.append(batch.step)
            time.sleep(0.05)  # the next one has been read, but for a very busy machine
    count = sampler.batches_per_epoch
    assert steps == list(range(count))
    for kind in ("stage", "take"):
        assert [step for what, step in copies.events if what == kind] == steps
    ahead = 0
    for kind, _ in copies.events:
        ahead += 1 if kind == "stage" else -1
        assert 0 <= ahead <= 1  # the device holds one batch that waits


def test_loader__an_error_after_a_staged_batch_is_raised_at_its_place(tmp_path):
    write_boxes(tmp_path)
    bad = dataset(box(tmp_path))
    read_into = bad.read_into

    def fails(i, epoch, x, y):
        if i == 2:
            raise DataError("sample 2")
        read_into(i, epoch, x, y)

    bad.read_into = fails
    with BatchLoader(bad, stream(SequentialSampler(4, 1), 0, 1), 1) as loader:
        loader._copies = FakeCopies()
        assert next(loader).ids == (0,)
        time.sleep(0.1)
        assert next(loader).ids == (1,)
        with pytest.raises(DataError, match="sample 2"):
            next(loader)
