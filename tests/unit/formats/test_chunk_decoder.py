from pathlib import Path

import numpy as np
import pytest
from numcodecs import blosc, zstd

from hpctrain.formats.chunk_decoder import ChunkDecoder, zstd_size


@pytest.mark.parametrize("codec", ["zstd", "blosc"])
@pytest.mark.parametrize("count", [3, 200, 300, 40_000, 70_000])
def test_decoder__gives_what_was_packed(codec, count):
    values = np.random.default_rng(count).integers(0, 9, count, np.uint16)
    own = zstd.Zstd(level=1) if codec == "zstd" else blosc.Blosc("lz4", 5, blosc.BITSHUFFLE)
    packed = bytes(own.encode(values))
    decode = ChunkDecoder(codec, values.nbytes, Path())
    assert (np.frombuffer(decode(packed), np.uint16) == values).all()
    with pytest.raises(ValueError, match=f"it has {2 * count} bytes unpacked, not {2 * count + 2}"):
        ChunkDecoder(codec, values.nbytes + 2, Path())(packed)


def test_zstd_size__unknown():
    assert zstd_size(b"\x28\xb5\x2f") == -1
    assert zstd_size(b"\x28\xb5\x2f\xfd\x00\x58\x00\x00") == -1
