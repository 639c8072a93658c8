"""Files read ahead and let go: which ones, when, and that no sample changes."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading

import numpy as np
import pytest

from hpctrain.config.order import Order
from hpctrain.data import BatchLoader, DividedSampler
from hpctrain.data.page_cache import UsedFiles, Window, memory_bytes, read_files_ahead
from hpctrain.data.sampler import Share, stream

from .builders import box, dataset, write_boxes


def cached_pages(path) -> int:
    """How many pages of a file the kernel holds."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        pages = -(-len(view) // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * pages)()
        address = np.frombuffer(view, np.uint8).ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        assert libc.mincore(address, len(view), found) == 0
        return sum(byte & 1 for byte in found)


def forget(folder) -> None:
    for path in folder.glob("*.npy"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def sampler(data, distance=1.0, batch=4) -> DividedSampler:
    order = Order(kind="divided", parts=1, shuffle_distance=distance)
    return DividedSampler(len(data), batch, 0, order, data.samples_per_file)


@pytest.fixture
def data(tmp_path):
    write_boxes(tmp_path, count=9, size=16, channels=4)
    return dataset(box(tmp_path, crop=(4, 4, 4)))


@pytest.fixture
def disk(tmp_path):
    """The folder, if its files can be taken out of memory at all."""
    path = tmp_path / "try.npy"
    np.save(path, np.zeros(2**16))
    forget(tmp_path)
    left = cached_pages(path)
    path.unlink()
    if left:
        pytest.skip(f"the file system of {tmp_path} keeps files in memory")
    return tmp_path


def test_read_ahead__the_whole_file_is_in_memory_before_its_first_sample(disk, data):
    forget(disk)
    path = data.paths(3 * data.samples_per_file)[0]
    assert cached_pages(path) == 0
    ids = (3 * data.samples_per_file, 3 * data.samples_per_file + 1)
    shares = read_files_ahead(data, iter([Share(0, 0, (0,), 1), Share(0, 1, ids, 2)]), Window(1, 4))
    next(shares)
    deadline = threading.Event()
    for _ in range(200):
        if cached_pages(path) == -(-path.stat().st_size // mmap.PAGESIZE):
            break
        deadline.wait(0.05)
    else:
        raise AssertionError(f"{cached_pages(path)} pages of {path}")
    shares.close()


def test_let_go__files_leave_memory_once_all_their_samples_were_read(disk, data):
    forget(disk)  # what is not on the disk yet cannot leave
    used = UsedFiles(data)
    files = data.samples_per_file
    buffers = np.empty(data.input_shape, np.float32), np.empty(data.target_shape, np.float32)
    for i in range(files, 3 * files - 1):
        data.read_into(i, 0, *buffers)
        used.count(i, 0)
    assert cached_pages(data.paths(files)[0]) == 0
    assert cached_pages(data.paths(2 * files)[0]) > 0, "one sample of it was not read"


def test_loader__batches_are_the_same_bits_with_and_without(data):
    order = sampler(data)

    def batches(is_helped):
        shares = stream(order, 0, 1, epochs=2)
        after = None
        if is_helped:
            shares = read_files_ahead(data, shares, Window.of(order, 1))
            after = UsedFiles(data).count
        with BatchLoader(data, shares, 2, 4, after_sample=after) as loader:
            return [(b.ids, b.epoch, b.step, b.input, b.target) for b in loader]

    plain, helped = batches(False), batches(True)
    assert len(plain) == len(helped) == 2 * order.batches_per_epoch
    for a, b in zip(plain, helped, strict=True):
        assert a[:3] == b[:3]
        assert a[3].equal(b[3])
        assert a[4].equal(b[4])


def test_loader__closed_early_leaves_no_thread(data):
    shares = read_files_ahead(data, stream(sampler(data), 0, 1, epochs=9), Window(4, 3))
    with BatchLoader(data, shares, 2, 4) as loader:
        next(loader)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("files-ahead")]


def test_error_in_the_order__comes_at_its_place(data):
    def broken():
        yield Share(0, 0, (0,), 1)
        raise RuntimeError("no more")

    with BatchLoader(data, read_files_ahead(data, broken(), Window(0, 3)), 1, 2) as loader:
        assert next(loader).ids == (0,)
        with pytest.raises(RuntimeError, match="no more"):
            next(loader)


def test_file_that_is_gone__is_left_to_its_reader(data):
    data.paths(3 * data.samples_per_file)[0].unlink()
    shares = [Share(0, 0, (3 * data.samples_per_file,), 1)]
    assert list(read_files_ahead(data, iter(shares), Window(4, 3))) == shares


def test_window__grows_with_distance_and_parts(data):
    near, far = (Window.of(sampler(data, d), 1) for d in (0.0, 5.0))
    assert far.num_files == near.num_files + 5
    assert near.steps >= 4


def test_memory__is_what_the_machine_has_at_most():
    assert 0 < memory_bytes() < os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE
