from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from hpctrain.errors import ProvenanceError
from hpctrain.provenance import Stamp, attributes, embed, read, seal
from hpctrain.provenance.checkpoint import RECORD, Hashing, append
from hpctrain.provenance.sidecar import sidecar_path
from hpctrain.provenance.stamp import NO_DIGEST, SCHEMA

STAMP = Stamp("figure", run_id="1f", run_dir="/a <b> & \"c\" 'd'\n\x1b[2J ünï", global_step=7)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png() -> bytes:
    pixels = zlib.compress(b"\0\x10\x20\0\x30\x40")
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


PAGES = {
    "a.png": _png(),
    "a.svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">\n<path/></svg>\n',
    "a.html": b"<!doctype html><html><head><title>x</title></head><body>y</body></html>",
    "a.json": b'{"b": [1, 2.5, null], "a": "\\u00fc"}',
    "a.npy": b"\x93NUMPY" + bytes(range(200)),
    "list.json": b"[1, 2, 3]",
    "empty.csv": b"",
}


@pytest.fixture(params=sorted(PAGES))
def path(request: pytest.FixtureRequest, weird_tmp_path: Path) -> Path:
    path = weird_tmp_path / request.param
    path.write_bytes(PAGES[request.param])
    return path


def test_embed__read_gives_the_same_stamp(path: Path) -> None:
    written = embed(path, STAMP)
    found = read(path)
    assert found.is_intact
    assert found.stamp == written
    assert replace(found.stamp, content_digest="", content_size=None) == STAMP


def test_embed__twice_keeps_the_last_stamp_and_the_same_content(path: Path) -> None:
    first = embed(path, STAMP)
    second = embed(path, replace(STAMP, run_id="2e"))
    assert read(path).stamp.run_id == "2e"
    assert first.content_digest == second.content_digest
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_read__a_copy_of_another_name(path: Path, tmp_path: Path) -> None:
    embed(path, STAMP)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copyfile(path, other / "renamed")
    if sidecar_path(path).exists():
        shutil.copy(sidecar_path(path), other)
    assert read(other / "renamed").stamp.run_id == "1f"


def test_read__one_byte_altered(path: Path) -> None:
    embed(path, STAMP)
    content = bytearray(path.read_bytes() or b" ")
    place = {"a.png": content.find(b"IDAT") + 6, "a.svg": content.find(b"path") + 1}
    at = place.get(path.name, content.find(b"x</title>") if path.suffix == ".html" else -1)
    if path.name == "a.json":
        at = content.index(b"2.5")
    content[at] ^= 1
    path.write_bytes(content)
    assert read(path).is_intact is False


def test_embed__pictures_and_pages_stay_what_they_are(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.png"
    path.write_bytes(_png())
    embed(path, STAMP)
    with image.open(path) as picture:
        picture.load()
        assert picture.getpixel((1, 1)) == 0x40
        assert json.loads(picture.text["hpctrain_provenance"])["run_id"] == "1f"


def test_embed__a_page_keeps_its_values(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(PAGES["a.json"])
    embed(path, STAMP)
    page = json.loads(path.read_text())
    page.pop("provenance")
    assert page == {"b": [1, 2.5, None], "a": "ü"}


@pytest.mark.parametrize("cut", [1, 9, 40, -1, -20])
def test_read__torn_picture(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png())
    embed(path, STAMP)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ProvenanceError, match=r"a\.png: "):
        read(path)


def _checkpoint(path: Path, stamp: Stamp = STAMP) -> None:
    with path.open("w+b") as file:
        hashing = Hashing(file)
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            archive.writestr("state_1/data.pkl", b"\x80\x02}q\x00.")
            archive.writestr("state_1/data/0", bytes(range(256)) * 8)
        hashing.write(path.with_suffix(".zip").read_bytes())
        own = replace(stamp, content_digest=hashing.digest, content_size=hashing.size)
        append(file, own.text)


def test_read__checkpoint_keeps_all_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    _checkpoint(path)
    written = path.with_suffix(".zip").read_bytes()
    assert path.read_bytes().startswith(written)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["state_1/data.pkl", "state_1/data/0", f"state_1/{RECORD}"]
        assert archive.read("state_1/data/0") == bytes(range(256)) * 8
    found = read(path)
    assert found.is_intact
    assert found.stamp.content_size == len(written)


def test_read__altered_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    _checkpoint(path)
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    assert read(path).is_intact is False


@pytest.mark.parametrize("keep", [10, 1000, -1, -30, -200, -900])
def test_read__torn_checkpoint(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.pt"
    _checkpoint(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ProvenanceError, match=r"a\.pt: torn"):
        read(path)


def test_read__zip_that_claims_a_huge_stamp_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"x/{RECORD}", b" " * 50_000_000)
    with pytest.raises(ProvenanceError, match="no stamp of hpctrain"):
        read(path)


def test_read__the_stamp_runs_nothing(tmp_path: Path) -> None:
    """A checkpoint may come from anybody: its pickle must not be opened to read the stamp."""
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "x/data.pkl", b"cos\nsystem\n(S'touch " + str(tmp_path).encode() + b"/bad'\ntR."
        )
        archive.writestr(f"x/{RECORD}", STAMP.text)
    assert read(path).stamp.run_id == "1f"
    assert not (tmp_path / "bad").exists()


def test_seal__netcdf_and_tiff(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    tifffile = pytest.importorskip("tifffile")
    numpy = pytest.importorskip("numpy")
    text = attributes(replace(STAMP, content_digest=NO_DIGEST))
    values = numpy.arange(4000, dtype="f4").reshape(40, 100)
    with io.netcdf_file(tmp_path / "a.nc", "w") as file:
        file.hpctrain_provenance = text["hpctrain_provenance"]
        file.createDimension("x", 4000)
        file.createVariable("t", "f4", ("x",))[:] = values.ravel()
    tifffile.imwrite(tmp_path / "a.tif", values, description=text["hpctrain_provenance"])
    for name in ("a.nc", "a.tif"):
        path = tmp_path / name
        seal(path)
        assert read(path).is_intact, name
        with pytest.raises(ProvenanceError, match="has a digest"):
            seal(path)
        content = bytearray(path.read_bytes())
        content[-2000] ^= 1
        path.write_bytes(content)
        assert read(path).is_intact is False, name
    with io.netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        assert file.variables["t"][:100].tolist() == list(range(100))


def test_read__hdf5_and_zarr(tmp_path: Path) -> None:
    h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(attributes(STAMP))
        file["t"] = list(range(1000))
    zarr.create_array(tmp_path / "a.zarr", shape=(8,), dtype="f4", attributes=attributes(STAMP))
    for name in ("a.h5", "a.zarr"):
        found = read(tmp_path / name)
        assert found.stamp == STAMP
        assert found.is_intact is None


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ({"schema": "hpctrain-provenance/2", "product": "figure"}, "written by another hpctrain"),
        ({"schema": "x", "product": "figure"}, "not of hpctrain"),
        ({"schema": SCHEMA}, "does not say what the file is"),
        ({"schema": SCHEMA, "product": "figure", "epoch": "1"}, "epoch is '1'"),
        ({"schema": SCHEMA, "product": "figure", "epoch": True}, "epoch is 'True'"),
        ({"schema": SCHEMA, "product": ["x"]}, "product is"),
    ],
)
def test_read__wrong_stamps_say_what_is_wrong(
    tmp_path: Path, page: dict[str, object], message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"provenance": page}))
    with pytest.raises(ProvenanceError, match=message):
        read(path)


def test_read__unknown_fields_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"provenance": {**STAMP.as_dict(), "weather": "fine"}}))
    assert read(path).stamp == STAMP


def test_read__no_stamp(path: Path) -> None:
    with pytest.raises(ProvenanceError, match="carries no stamp"):
        read(path)


def test_text__is_safe_in_html_and_xml() -> None:
    assert not set("<>&'\x1b\n") & set(STAMP.text)
    assert STAMP.text.isascii()
    assert Stamp.from_text(STAMP.text) == STAMP
