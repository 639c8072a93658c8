"""Packed npz files with a fault in them are refused in words, by the index and by the run."""

import zipfile

import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.formats.npz import open_npz
from hpctrain.index.scroll.headers import npz_cells


def packed(path, compression=zipfile.ZIP_DEFLATED):
    values = np.random.default_rng(0).integers(0, 99, (9, 20, 30)).astype(np.uint16)
    np.save(path.with_suffix(".npy"), values)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.write(path.with_suffix(".npy"), "volume.npy")
    return values


def overwrite(path, begin, count):
    data = bytearray(path.read_bytes())
    data[begin : begin + count] = b"\xff" * count
    path.write_bytes(data)


WAYS = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


@pytest.mark.parametrize("compression", WAYS)
def test_open_npz__packed(tmp_path, compression):
    values = packed(tmp_path / "v.npz", compression)
    assert npz_cells(tmp_path / "v.npz") == {"volume": ((9, 20, 30), "u2")}
    assert (open_npz(tmp_path / "v.npz", "volume")[:] == values).all()


@pytest.mark.parametrize("compression", WAYS)
def test_open_npz__damaged(tmp_path, compression):
    path = tmp_path / "v.npz"
    packed(path, compression)
    overwrite(path, 2000, 500)
    with pytest.raises(DataError, match="v.npz: cannot be read .*; fetch or write it again"):
        open_npz(path, "volume")


@pytest.mark.parametrize("compression", WAYS)
def test_npz_cells__damaged(tmp_path, compression):
    path = tmp_path / "v.npz"
    packed(path, compression)
    overwrite(path, 40, 500)
    with pytest.raises(DataError, match="v.npz: is no npz file .*; fetch or write it again"):
        npz_cells(path)


@pytest.mark.parametrize("place", [6, 8])
def test_npz__encrypted_or_packed_in_an_unknown_way(tmp_path, place):
    path = tmp_path / "v.npz"
    packed(path)
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\1\2")
    for at in (place, directory + place + 2):  # flags, or method, in header and directory
        data[at] = 1 if place == 6 else 99
    path.write_bytes(data)
    for read in (npz_cells, lambda p: open_npz(p, "volume")):
        with pytest.raises(DataError, match="v.npz: .*; fetch or write it again"):
            read(path)
