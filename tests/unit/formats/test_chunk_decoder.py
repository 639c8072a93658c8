from pathlib import Path

import numpy as np
import pytest
from numcodecs import blosc, zstd

from hpctrain.errors import DataError
from hpctrain.formats.chunk_decoder import chunk_decoder


@pytest.mark.parametrize("codec", ["zstd", "blosc", "none"])
@pytest.mark.parametrize("count", [3, 200, 40_000, 70_000])
def test_decoder__gives_what_was_packed(codec, count):
    chunks = [np.random.default_rng(n).integers(0, 9, count, np.uint16) for n in range(3)]
    known = {"zstd": zstd.Zstd(level=1), "blosc": blosc.Blosc("lz4", 5, blosc.BITSHUFFLE)}
    own = known.get(codec)
    packed = [memoryview(bytes(own.encode(c)) if own else c.tobytes()) for c in chunks]
    unpack = chunk_decoder(codec, Path())
    for _ in range(2):  # memory is used again
        for chunk, found in zip(chunks, unpack(packed, 2 * count), strict=True):
            assert (np.frombuffer(found, np.uint16) == chunk).all()
    assert not list(unpack([], 2 * count))
    if own:
        for damaged in ([packed[0], packed[1][:-2]], [memoryview(b"")], [memoryview(b"12345678")]):
            with pytest.raises(DataError):
                list(unpack(damaged, 2 * count))
        with pytest.raises(DataError, match=f"{2 * count + 2}"):
            list(unpack(packed, 2 * count + 2))


def test_decoder__takes_frames_that_do_not_say_their_size():
    zstandard = pytest.importorskip("zstandard")
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(300))
    (found,) = chunk_decoder("zstd", Path())([memoryview(frame)], 300)
    assert bytes(found) == bytes(300)
