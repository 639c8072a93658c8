"""Quick checks of files by their bytes."""

import io
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from hpctrain.index.quick import Content, look
from tests.requires import SHARED_DATA, requires

RNG = np.random.default_rng(0)


def seen(name: str, raw: bytes):
    """The same by the whole file and by pieces of it."""
    whole = look(name, Content(-1, len(raw), raw))
    descriptor = os.memfd_create("x")
    try:
        os.write(descriptor, raw)
        assert look(name, Content(descriptor, len(raw), None)) == whole
    finally:
        os.close(descriptor)
    return whole


def npy(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def picture(kind: str, shape=(20, 30, 3), **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, shape).astype(np.uint8)).save(out, kind, **options)
    return out.getvalue()


def mobotix(height=12, width=16, sensor="right", end="\n") -> str:
    rows = [";".join(f"{v:.2f}" for v in row) for row in RNG.normal(10, 5, (height, width))]
    head = f"sensor;{sensor}\nbit depth;14 bit\nwidth;{width}\nheight;{height}\nresolution;high\n"
    head += "advanced radiometry support;yes\nunit;degrees Celsius\n\n"
    return (head + "\n".join(rows) + "\n").replace("\n", end)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + b"x" * 60000}]
)
def test_jpeg__dimensions_and_end(options):
    raw = picture("JPEG", **options)
    assert seen("a.jpg", raw) == ("20x30x3", "uint8", "")
    assert seen("a.JPG", raw + b"camera's own" * 9).fault == ""
    for cut in (1, 2, len(raw) // 2, len(raw) - 1, len(raw) - 2):
        assert seen("a.jpg", raw[:cut]).fault.partition(":")[0] in ("truncated", "unreadable")
    assert seen("a.jpg", raw[:-2]).fault.startswith("truncated")
    assert seen("grey.jpg", picture("JPEG", (20, 30))).shape == "20x30"


def test_png__dimensions_and_end():
    raw = picture("PNG")
    assert seen("a.png", raw) == ("20x30x3", "uint8", "")
    assert seen("a.png", raw[:-5]).fault.startswith("truncated")
    assert seen("a.png", b"GIF89a" + raw).fault.startswith("unreadable: no PNG")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_mobotix__whole_table(end):
    assert seen("a.csv", mobotix(end=end).encode()) == ("12x16", "csv", "")
    assert seen("a.csv", mobotix(end=end).rstrip().encode()) == ("12x16", "csv", "")


def test_mobotix__every_cut_is_found():
    raw = mobotix(6, 8).encode()
    last_value = raw.rstrip().rfind(b";")
    for size in range(len("sensor;"), len(raw)):
        fault = seen("a.csv", raw[:size]).fault
        # within the last number a cut leaves a number
        assert fault.startswith("truncated") or size > last_value, (size, fault)


def test_mobotix__values_that_are_no_numbers_or_all_equal():
    text = mobotix()
    at = text.rfind("\n\n") + 2
    first = text[at:].split(";")[0]
    assert seen("a.csv", text.replace(first, "nan", 1).encode()).fault == "nan: has 'nan'"
    assert seen("a.csv", text.replace(first, "-Inf", 1).encode()).fault == "nan: has '-Inf'"
    flat = text[:at] + (";".join(["-25.00"] * 16) + "\n") * 12
    assert seen("a.csv", flat.encode()).fault == "constant: all values are -25.00"
    two_rows = text[:at] + (text[at:].split("\n")[0] + "\n") * 12
    assert seen("a.csv", two_rows.encode()).fault == ""


def test_mobotix__other_shape_than_its_header():
    fault = seen("a.csv", mobotix().replace("width;16", "width;15").encode()).fault
    assert fault.startswith("shape: 12 rows, the first of 16")


def test_csv__last_row_of_any_table():
    assert seen("a.csv", b"a,b,c\n1,2,3\n4,5,6").fault == ""
    assert seen("a.csv", b"a,b,c\n1,2,3\n4,5").fault.startswith("truncated: the last row has 2")
    assert seen("a.csv", b"a,\0\n").fault.startswith("unreadable")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i2", "|u1"])
def test_npy__shape_type_and_values(dtype):
    values = (RNG.normal(0, 1, (3, 5, 7)) * 50).astype(dtype)
    raw = npy(values)
    name = np.dtype(dtype).name
    assert seen("a.npy", raw) == ("3x5x7", name, "")
    assert seen("a.npy", raw[:-1]).fault.startswith("truncated")
    assert seen("a.npy", raw[:50]).fault.startswith("truncated")
    assert seen("a.npy", npy(np.full_like(values, 3))).fault.startswith("constant")
    last = np.full_like(values, 3)
    last[-1, -1, -1] = 4
    assert seen("a.npy", npy(last)).fault == ""


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_npy__non_finite_value_anywhere(dtype, value):
    values = RNG.normal(0, 1, (4, 9)).astype(dtype)
    for place in ((0, 0), (2, 3), (3, 8)):
        spoiled = values.copy()
        spoiled[place] = value
        assert seen("a.npy", npy(spoiled)).fault.startswith("nan: has a value")
    values[0, 0] = np.finfo(dtype).max
    assert seen("a.npy", npy(values)).fault == ""


def test_npy__signalling_nan_and_large_files():
    values = RNG.normal(0, 1, (1 << 21)).astype("<f4")
    assert seen("a.npy", npy(values)).fault == ""
    values.view("<u4")[-3] = 0xFF800001
    assert seen("a.npy", npy(values)).fault.startswith("nan")
    assert seen("a.npy", npy(np.zeros(1 << 21, "<f4"))).fault.startswith("constant")


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)},
     {"rowsperstrip": 4}],
    ids=str,
)  # fmt: skip
def test_tiff__strips_must_lie_in_the_file(options):
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(out, RNG.integers(0, 9999, (40, 50)).astype("uint16"), **options)
    raw = out.getvalue()
    assert seen("00.tif", raw) == ("40x50", "uint16", "")
    for cut in (1, 40, 300):
        assert seen("00.tif", raw[:-cut]).fault.startswith("truncated")
    assert seen("00.tif", b"no tiff at all").fault.startswith("unreadable")


def test_tiff__pages():
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(
        out, RNG.integers(0, 99, (3, 20, 30)).astype("uint8"), photometric="minisblack"
    )
    assert seen("a.tiff", out.getvalue()) == ("3x20x30", "uint8", "")
    assert seen("a.tiff", out.getvalue()[:-200]).fault.startswith("truncated")


def test_raw__size_by_its_name():
    raw = RNG.integers(7000, 7400, (4, 6)).astype("<u2").tobytes()
    name = "stream_000001_left_6x4_14bit.thermal.raw"
    assert seen(name, raw) == ("4x6", "uint16", "")
    assert seen(name, raw[:-1]).fault.startswith("truncated: 47 bytes, 48")
    assert seen(name, raw + b"x").fault.startswith("shape")
    assert seen(name, raw[:2] * 24).fault.startswith("constant")
    assert seen("other.raw", b"x") == ("", "", "")


def test_any__empty_file():
    assert seen("a.bin", b"").fault == "truncated: is empty"
    assert seen("a.bin", b"x").fault == ""


def test_arrays__by_their_headers(tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        f["x"] = RNG.normal(size=100)
    raw = path.read_bytes()
    assert look(str(path), Content(-1, len(raw), raw)).fault == ""
    path.write_bytes(raw[:-9])
    assert look(str(path), Content(-1, len(raw) - 9, raw[:-9])).fault.startswith("truncated:")


@requires(shared_data=True)
def test_real__frames_of_cameras():
    folder = SHARED_DATA / "sage"
    found = {}
    for path in folder.rglob("*.*"):
        if path.suffix in (".csv", ".jpg", ".raw"):
            raw = path.read_bytes()
            found[path.name] = look(str(path), Content(-1, len(raw), raw))
            assert look(str(path), Content(-1, len(raw) // 2, raw[: len(raw) // 2])).fault
    assert {f.fault for f in found.values()} == {""}
    assert {f.shape for f in found.values()} >= {"480x640", "252x336", "727x1091x3"}


def test_jpeg__end_of_a_preview_is_not_the_end():
    raw = picture("JPEG", exif=b"Exif\0\0" + picture("JPEG", (64, 64, 3)))
    scan = raw.rindex(b"\xff\xda")
    assert seen("a.jpg", raw).fault == ""
    for cut in range(scan - 300, len(raw) - 1, 97):
        assert seen("a.jpg", raw[:cut]).fault.startswith("truncated"), cut
    assert seen("a.jpg", raw[:scan] + b"\xff\xd9").fault.startswith("truncated")


def test_png__every_chunk_is_looked_at():
    raw = bytearray(picture("PNG"))
    data = raw.index(b"IDAT")
    assert seen("a.png", bytes(raw) + b"more").fault == ""
    flipped = raw.copy()
    flipped[data + 40] ^= 1
    assert seen("a.png", bytes(flipped)).fault.startswith("unreadable: wrong checksum")
    cut_out = bytes(raw[: data + 30] + raw[-12:])
    assert seen("a.png", cut_out).fault.startswith("truncated")
    assert (
        seen("a.png", bytes(raw[: data - 4] + raw[-12:])).fault == "truncated: has no picture data"
    )


def tiff(*entries: tuple[int, int, int, int], first: int = 8) -> bytes:
    """A TIFF of one page: tag, kind, count and value of each entry."""
    page = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        struct.pack("<2sHI", b"II", 42, first) + struct.pack("<H", len(entries)) + page + bytes(4)
    )


def test_tiff__headers_that_make_no_sense():
    size = [(256, 3, 1, 4), (257, 3, 1, 4)]
    good = [*size, (273, 4, 1, 62), (279, 4, 1, 16)]
    assert seen("a.tif", tiff(*good) + bytes(16)) == ("4x4", "bool", "")
    assert seen("a.tif", tiff(*good, first=0)).fault == "truncated: its header names no page"
    none = tiff((256, 3, 0, 4), *good[1:]) + bytes(16)
    assert seen("a.tif", none).fault.startswith("unreadable: its first page has no size")
    assert seen("a.tif", tiff(*size)).fault.startswith("unreadable: its first page")
    huge = tiff(*size, (273, 4, 0xFFFFFFFF, 8))
    assert seen("a.tif", huge).fault.startswith("truncated: 50 bytes, and a tag claims")


def test_npy__negative_shape():
    raw = npy(np.zeros(7, "<f4")).replace(b"(7,)", b"(-7,)")
    assert seen("a.npy", raw).fault.startswith("unreadable: malformed npy header")


def test_mobotix__texts_in_the_middle():
    rows = mobotix().splitlines()
    for text, fault in [
        ("oops", "unreadable: has 'oops'"),
        ("NaN", "nan: has 'NaN'"),
        ("1e-05", ""),
    ]:
        spoiled = text + rows[15][rows[15].index(";") :]
        raw = "\n".join([*rows[:15], spoiled, *rows[16:], ""]).encode()
        assert seen("a.csv", raw).fault.startswith(fault)
        assert bool(seen("a.csv", raw).fault) == bool(fault)


def test_any__check_that_fails_makes_its_file_bad(monkeypatch):
    def fail(content):
        raise IndexError("tuple index out of range")

    monkeypatch.setitem(sys.modules["hpctrain.index.quick.look"]._LOOKS, ".tif", fail)
    assert seen("a.tif", b"x").fault.startswith("unreadable: its check failed (IndexError: tuple")
