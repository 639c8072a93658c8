"""Decoded pictures are kept, checked, and shared by processes that write at the same time."""

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace

import numpy as np
import pytest

from hpctrain.data.pairs import PairDataset, planes
from hpctrain.data.pairs.planes import pair_bytes
from hpctrain.data.pairs.store import PlaneStore
from hpctrain.tasks.pairs.samples import cache_warnings
from tests.unit.data.pairs import builders
from tests.unit.data.pairs.builders import camera_pair, pairs

SHAPE = (6, 9)


def plane(number, dtype=np.uint16):
    return (np.arange(54).reshape(SHAPE) * 3 + number).astype(dtype)


class Decoder:
    def __init__(self, make):
        self.make, self.calls = make, 0

    def __call__(self):
        self.calls += 1
        return self.make()


def open_store(folder, **recipe):
    return PlaneStore(folder, {"kind": "thermal", **recipe}, SHAPE, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_store__gives_the_same_bytes_without_decoding_again(tmp_path, dtype) -> None:
    decoder = Decoder(lambda: plane(2, dtype))
    for _ in range(2):
        found = open_store(tmp_path).get(2, "source", decoder)
        assert found.dtype == dtype
        assert np.array_equal(found, plane(2, dtype))
    assert decoder.calls == 1
    assert open_store(tmp_path, size=3).folder != open_store(tmp_path).folder


def test_store__another_source_is_decoded_again(tmp_path) -> None:
    store = open_store(tmp_path)
    store.get(0, "before", lambda: plane(0))
    assert np.array_equal(store.get(0, "after", lambda: plane(1)), plane(1))
    assert np.array_equal(open_store(tmp_path).get(0, "after", pytest.fail), plane(1))


@pytest.mark.parametrize("damage", ["byte", "cut", "mark"])
def test_store__torn_pictures_are_found_and_decoded_again(tmp_path, caplog, damage) -> None:
    store = open_store(tmp_path)
    for number in range(4):
        store.get(number, "source", lambda n=number: plane(n))
    path = store.folder / ("marks" if damage == "mark" else "planes")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[17 if damage == "mark" else 30] ^= 4
    del store
    path.write_bytes(data)
    decoder = Decoder(lambda: plane(0))
    again = open_store(tmp_path)
    number = 3 if damage == "cut" else 0
    decoder.make = lambda: plane(number)
    assert np.array_equal(again.get(number, "source", decoder), plane(number))
    assert decoder.calls == 1
    assert "torn or altered" in caplog.text
    assert np.array_equal(open_store(tmp_path).get(number, "source", pytest.fail), plane(number))


def fill(folder, first):
    store = open_store(folder)
    for number in range(4):
        n = (first + number) % 4
        found = store.get(n, "source", lambda n=n: plane(n))
        assert np.array_equal(found, plane(n))


def test_store__processes_fill_it_together(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=fill, args=(tmp_path, n)) for n in (0, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    store = open_store(tmp_path)
    assert all(np.array_equal(store.get(n, "source", pytest.fail), plane(n)) for n in range(4))


def test_store__a_full_disk_is_told_once(tmp_path, caplog, monkeypatch) -> None:
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hpctrain.data.pairs.store.os.pwrite", full)
    store = open_store(tmp_path)
    for number in (0, 1):
        assert np.array_equal(store.get(number, "s", lambda n=number: plane(n)), plane(number))
    assert caplog.text.count("No space left") == 1


def test_dataset__keeps_counts_and_reads_no_file_again(tmp_path) -> None:
    files = [camera_pair(n, size=(80, 60)) for n in range(2)]
    index = builders.write(tmp_path, files)
    cache = tmp_path / "cache"
    data = PairDataset(pairs(), index, "train", 0, cache=cache)
    first = data.read_batch(builders.whole_share(data))
    for sample in files:
        for name, _ in sample.values():
            (tmp_path / name).unlink()
    again = PairDataset(pairs(), index, "train", 0, cache=cache)
    second = again.read_batch(builders.whole_share(again))
    for name in ("rgb", "ir"):
        assert np.array_equal(first.crops[name][0], second.crops[name][0])
    assert {p.name for p in cache.glob("*/*")} == {"planes", "marks", "recipe.json"}


def test_dataset__keeps_no_more_pairs_than_the_limit_allows(tmp_path, monkeypatch) -> None:
    index = builders.write(tmp_path, [camera_pair(n, size=(80, 60)) for n in range(4)])
    cache, each = tmp_path / "cache", pair_bytes(pairs())
    limited = pairs(cache_limit_gb=2.5 * each / 1e9)
    first = PairDataset(limited, index, "train", 0, cache=cache)
    wanted = first.read_batch(builders.whole_share(first))
    again = PairDataset(limited, index, "train", 0, cache=cache)
    decoded = []
    for name in ("optical_plane", "thermal_plane"):
        own = getattr(planes, name)

        def counted(path, *rest, own=own, **more):
            decoded.append(path.name)
            return own(path, *rest, **more)

        monkeypatch.setattr(planes, name, counted)
    found = again.read_batch(builders.whole_share(again))
    assert len(decoded) == 4  # both pictures of the two pairs that there is no room for
    for name in ("rgb", "ir"):
        assert np.array_equal(found.crops[name][0], wanted.crops[name][0])
    used = sum(path.stat().st_blocks * 512 for path in cache.glob("*/planes"))
    assert each < used <= 2.5 * each
    (told,) = cache_warnings(limited, 4, cache, first.missing_bytes)
    assert told.endswith("GB, those behind the first 2 are not written")


def test_cache__a_disk_that_is_too_small_is_told_of_beforehand(tmp_path, monkeypatch) -> None:
    index = builders.write(tmp_path, [camera_pair(n, size=(80, 60)) for n in range(3)])
    cache = tmp_path / "cache"
    data = PairDataset(pairs(), index, "train", 0, cache=cache)
    assert data.missing_bytes == 3 * pair_bytes(pairs())
    whole = data.missing_bytes
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=whole - 1))
    (told,) = cache_warnings(pairs(), 3, cache, whole)
    assert f"{cache}: decoded pictures take up to" in told
    assert told.endswith("give data.cache_limit_gb, another data.cache_dir, or data.cache: false")
    assert len(cache_warnings(pairs(cache_limit_gb=2 * whole / 3e9), 3, cache, whole)) == 2
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    other = cache / "of-another-run"
    other.mkdir()
    (other / "planes").write_bytes(b"x" * 2 * whole)
    assert cache_warnings(pairs(), 3, cache, data.missing_bytes)
    data.read_batch(builders.whole_share(data))  # what is there needs no room
    assert data.missing_bytes == 0
    assert not cache_warnings(pairs(), 3, cache, data.missing_bytes)


def test_cache__a_folder_that_cannot_be_made_ends_nothing(tmp_path) -> None:
    index = builders.write(tmp_path, [camera_pair(n, size=(80, 60)) for n in range(2)])
    (tmp_path / "file").touch()
    data = PairDataset(pairs(), index, "train", 0, cache=tmp_path / "file" / "cache")
    assert data.missing_bytes == 0
    assert not cache_warnings(pairs(), 2, tmp_path / "file" / "cache", 0)
    assert not cache_warnings(pairs(), 2, tmp_path / "file" / "cache", 1)


def test_cache__large_sizes_are_written_out(tmp_path) -> None:
    (told,) = cache_warnings(pairs(), 1, tmp_path, 10**15)
    assert "take up to 1,000,000 GB more" in told


def test_dataset__only_runs_of_equal_cuts_and_files_share_slots(tmp_path) -> None:
    index = builders.write(tmp_path, [camera_pair(n, size=(80, 60)) for n in range(2)])
    other = builders.write(tmp_path / "other", [camera_pair(n, size=(80, 60)) for n in (0, 3)])
    cache = tmp_path / "cache"

    def folders(block, rows=index):
        before = set(cache.glob("*"))
        PairDataset(block, rows, "train", 0, cache=cache)
        return set(cache.glob("*")) - before

    assert len(folders(pairs())) == 2
    assert not folders(pairs())
    assert len(folders(pairs(optical={"margins": {"*": (0, 0, 0.25, 0)}}))) == 1  # not of ir
    assert len(folders(pairs(optical={"half": "left"}))) == 1
    assert len(folders(pairs(), other)) == 2
