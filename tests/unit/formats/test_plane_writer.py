"""Planes that are written rows by rows: pictures and arrays that others read, with stamps."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from hpctrain.formats.plane_writer import PlaneSheet, plane_writer
from hpctrain.provenance import Stamp, read

SHAPE = (37, 301)
NOTES = {"source": "Pergament é", "hpctrain_flips": "none"}


def plane():
    values = np.random.default_rng(0).random(SHAPE, np.float32)
    values[:5, :9] = np.nan
    values[30:] = 0.25
    values[6, :2] = 0, 1
    return values


def written(path, heights=(10, 20, 7)):
    sheet = PlaneSheet("ink", SHAPE, NOTES, Stamp("prediction", run_name="a run"))
    writer = plane_writer(path, sheet)
    top, values = 0, plane()
    for height in heights:
        writer.write(top, values[top : top + height])
        top += height
    writer.finish()
    writer.close()
    return path


def test_png__is_what_pillow_reads(tmp_path):
    with Image.open(written(tmp_path / "a.png")) as picture:
        picture.load()
        found, text = np.asarray(picture), picture.text
    expected = np.rint(np.nan_to_num(plane()) * 255)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert {key: text[key] for key in NOTES} == NOTES


def test_tiff__is_what_tifffile_reads(tmp_path):
    path = written(tmp_path / "a.tif")
    with tifffile.TiffFile(path) as file:
        found, text = file.pages[0].asarray(), file.pages[0].description
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.rint(np.nan_to_num(plane()) * 65535))
    assert "hpctrain_flips: none" in text


def test_zarr__is_what_zarr_reads(tmp_path):
    array = zarr.open_array(written(tmp_path / "a.zarr", (37,)), mode="r")
    np.testing.assert_array_equal(array[:], plane())
    assert array.metadata.dimension_names == ("y", "x")
    assert array.attrs["source"] == NOTES["source"]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures__are_sealed_and_alike_whatever_the_blocks(tmp_path, suffix):
    one, two = written(tmp_path / f"1{suffix}"), written(tmp_path / f"2{suffix}", (37,))
    for path in (one, two):
        found = read(path)
        assert (found.stamp.run_name, found.where, found.is_intact) == ("a run", "inside", True)
    content = bytearray(one.read_bytes())
    place = content.index(b"IDAT") + 20 if suffix == ".png" else len(content) - 9
    content[place] ^= 1
    one.write_bytes(content)
    assert read(one).is_intact is False
    if suffix == ".tif":
        assert two.read_bytes() == written(tmp_path / f"3{suffix}").read_bytes()
