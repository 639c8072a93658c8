"""Regions out of shards: runs of chunks, groups of them, damage that is found."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from hpctrain.errors import DataError
from hpctrain.formats import shard_reader
from hpctrain.formats.shard_file import Shard
from hpctrain.formats.shard_reader import ShardedArray, is_readable

SHAPE = (20, 30, 50)


def store(folder, codec="zstd", chunk=8, shard=24):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2000, SHAPE).astype(np.uint16)
    values[:9, 8:17] = 0  # some chunks are not there
    array = zarr.create_array(
        folder,
        shape=SHAPE,
        dtype="uint16",
        chunks=(chunk,) * 3,
        shards=(shard,) * 3,
        compressors=None if codec == "none" else [zarr.codecs.ZstdCodec(level=1)],
        fill_value=0,
    )
    array[:] = values
    assert is_readable(folder)
    return values


def regions(count=40):
    rng = np.random.default_rng(1)
    for _ in range(count):
        low = [int(rng.integers(0, n)) for n in SHAPE]
        yield tuple(slice(a, int(rng.integers(a, n)) + 1) for a, n in zip(low, SHAPE, strict=True))


@pytest.mark.parametrize("codec", ["zstd", "none"])
@pytest.mark.parametrize("at_once", [1, 3000, 1 << 20])
def test_read__any_region_by_many_threads(tmp_path, monkeypatch, codec, at_once):
    values = store(tmp_path / "a", codec)
    monkeypatch.setattr(shard_reader, "AT_ONCE", at_once)
    own = ShardedArray(tmp_path / "a")
    keys = list(regions())
    with ThreadPoolExecutor(4) as pool:
        for key, found in zip(keys, pool.map(own.read, keys), strict=True):
            np.testing.assert_array_equal(found, values[key])
    assert own.read((slice(0, 5), slice(3, 3), slice(0, 9))).shape == (5, 0, 9)


def test_read__neighbours_in_a_file_are_read_at_once(tmp_path, monkeypatch):
    """A row of chunks lies in one piece, as a conversion writes it."""
    store(tmp_path / "a")
    own = ShardedArray(tmp_path / "a")
    asked = []
    real = Shard.read_into
    monkeypatch.setattr(
        Shard, "read_into", lambda *a: (asked.append((a[2], len(a[1]))), real(*a))[1]
    )
    own.read((slice(8, 16), slice(16, 24), slice(0, 24)))
    shard = own._shard((0, 0, 0))
    spans = [shard.find(1 * 9 + 2 * 3 + x) for x in range(3)]
    is_one = all(a + n == b for (a, n), (b, _) in zip(spans, spans[1:], strict=False))
    assert len(asked) == (1 if is_one else len(spans))
    assert sum(length for _, length in asked) == sum(length for _, length in spans)


def test_read__damage_within_a_chunk_is_found(tmp_path):
    store(tmp_path / "a")
    shard = tmp_path / "a" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    offset, _ = ShardedArray(tmp_path / "a")._shard((0, 0, 0)).find(26)
    content[offset : offset + 4] = b"abcd"
    shard.write_bytes(content)
    own = ShardedArray(tmp_path / "a")
    own.read((slice(0, 8),) * 3)
    with pytest.raises(DataError, match=r"c/0/0/0: chunk 26 cannot be unpacked"):
        own.read((slice(8, 20),) * 3)


def test_read__as_tensorstore(tmp_path):
    tensorstore = pytest.importorskip("tensorstore")
    store(tmp_path / "a")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "a")}}
    other = tensorstore.open(spec, open=True).result()
    own = ShardedArray(tmp_path / "a")
    for key in regions(10):
        np.testing.assert_array_equal(own.read(key), other[key].read().result())
