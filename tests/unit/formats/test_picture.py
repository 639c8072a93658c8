"""Labels, masks and infrared pictures, however a program has saved them."""

import numpy as np
import pytest
from PIL import Image

from hpctrain.errors import DataError
from hpctrain.formats.picture import open_picture, read_picture

INK = np.zeros((20, 30), bool)
INK[5:9, 10:25] = True
GREY = np.where(INK, 255, 0).astype(np.uint8)


def _layers(*bands):
    return Image.merge("RGBA" if len(bands) == 4 else "RGB", [Image.fromarray(b) for b in bands])


def _palette(colours, transparent=None):
    picture = Image.fromarray(INK.astype(np.uint8), "L").convert("P")
    picture.putdata(INK.astype(np.uint8).ravel())
    picture.putpalette(sum(colours, []) + [0] * (768 - 3 * len(colours)))
    if transparent is not None:
        picture.info["transparency"] = transparent
    return picture


FULL, NONE = np.full_like(GREY, 255), np.zeros_like(GREY)
PICTURES = {
    "grey": (Image.fromarray(GREY), 255),
    "bits": (Image.fromarray(INK), 1),
    "alike channels": (_layers(GREY, GREY, GREY), 255),
    "opaque": (_layers(GREY, GREY, GREY, FULL), 255),
    "black on a transparent sheet": (_layers(NONE, NONE, NONE, GREY), 255),
    "white on a transparent sheet": (_layers(FULL, FULL, FULL, GREY), 255),
    "red on transparent black": (_layers(GREY, NONE, NONE, GREY), 76),
    "grey and opacity": (Image.merge("LA", [Image.fromarray(FULL), Image.fromarray(GREY)]), 255),
    "palette, white": (_palette([[0, 0, 0], [255, 255, 255]]), 255),
    "palette, red": (_palette([[0, 0, 0], [255, 0, 0]]), 76),
    "palette, transparent": (_palette([[255, 255, 255], [255, 255, 255]], 0), 255),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture__is_read_by_its_meaning(tmp_path, name):
    picture, top = PICTURES[name]
    picture.save(tmp_path / "a.png", **picture.info)
    found = open_picture("mask", tmp_path / "a.png")[:]
    np.testing.assert_array_equal(found, INK * top)


def test_picture__of_colours_is_refused(tmp_path):
    _layers(GREY, NONE, NONE).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png: has colours; a label, mask or infrared picture"):
        open_picture("mask", tmp_path / "a.png")


def test_read_picture__keeps_numbers_of_a_palette(tmp_path):
    PICTURES["palette, red"][0].save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), INK)
