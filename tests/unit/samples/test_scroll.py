"""The layout, and what can be seen of ink: not by a threshold, but by its texture."""

import hashlib
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.stats import rankdata

from hpctrain.errors import ConfigError
from hpctrain.registry import SAMPLES, resolve
from hpctrain.samples.scroll import write_sample
from hpctrain.samples.spiral import roll_up
from hpctrain.samples.volpkg import run_lengths

SIZE = (192, 800)
TINY = {"size": (128, 192)}
VOLUME = "scroll.volpkg/volumes/20000101000000"


@pytest.fixture(scope="module")
def sample_dir(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "scroll"
    write_sample(out, size=SIZE)
    return out


@pytest.fixture(scope="module")
def tiny_dir(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "scroll"
    write_sample(out, **TINY)
    return out


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def surface(folder, layers=range(65)):
    names = [folder / "train/1/surface_volume" / f"{layer:02d}.tif" for layer in layers]
    return np.stack([tifffile.imread(name) for name in names]).astype(np.float32)


def picture(folder, name):
    return np.array(Image.open(folder / "train/1" / name))


def area_under_curve(score, is_ink):
    """Probability that a pixel of ink scores higher than one without (Mann and Whitney)."""
    ranks, ink = rankdata(score), is_ink.sum()
    return (ranks[is_ink].sum() - ink * (ink + 1) / 2) / (ink * (len(is_ink) - ink))


def unevenness(layers, width):
    """How much grey values change along the fibres, in the neighbourhood: cracks do, fibres not."""
    changes = [gaussian_filter(np.gradient(v, axis=1) ** 2, width) for v in layers]
    return np.sum(changes, axis=0)


def check_carbon(folder, width):
    """Best threshold on one layer, and the filter on texture."""
    is_sheet, is_ink = picture(folder, "mask.png") > 0, picture(folder, "inklabels.png") > 0
    ink = is_ink[is_sheet]
    single = [area_under_curve(layer[is_sheet], ink) for layer in surface(folder)]
    texture = unevenness(surface(folder, range(29, 33)), width)
    return max(max(a, 1 - a) for a in single), area_under_curve(texture[is_sheet], ink)


def test_write_sample__is_registered():
    assert resolve(SAMPLES["scroll"]) is write_sample


def test_write_sample__volume(sample_dir):
    meta = json.loads((sample_dir / VOLUME / "meta.json").read_text())
    slices = sorted((sample_dir / VOLUME).glob("*.tif"))
    assert [path.name for path in slices] == [f"{n:05d}.tif" for n in range(192)]
    first = tifffile.imread(slices[0])
    assert first.dtype == np.uint16
    assert set(meta) == {
        *("height", "width", "slices", "min", "max", "name", "type", "uuid", "voxelsize"),
    }
    assert (meta["height"], meta["width"], meta["slices"]) == (*first.shape, 192)
    assert (meta["type"], meta["uuid"], meta["voxelsize"]) == ("vol", "20000101000000", 7.91)
    whole = np.stack([tifffile.imread(path) for path in slices])
    assert (meta["min"], meta["max"]) == (whole.min(), whole.max())
    config = json.loads((sample_dir / "scroll.volpkg/config.json").read_text())
    assert set(config) == {"name", "version", "materialthickness"}


def test_write_sample__fragment(sample_dir):
    names = {path.relative_to(sample_dir / "train/1").as_posix() for path in
             (sample_dir / "train/1").rglob("*") if path.is_file()}  # fmt: skip
    pictures = {"inklabels.png", "inklabels_rle.csv", "mask.png", "ir.png"}
    assert names == {f"surface_volume/{layer:02d}.tif" for layer in range(65)} | pictures
    layer = tifffile.imread(sample_dir / "train/1/surface_volume/32.tif")
    assert (layer.shape, layer.dtype) == (SIZE, np.uint16)
    for name in ("inklabels.png", "mask.png"):
        image = Image.open(sample_dir / "train/1" / name)
        assert (image.mode, image.size) == ("L", SIZE[::-1])
        assert set(np.unique(np.array(image))) == {0, 255}
    assert (picture(sample_dir, "mask.png") >= picture(sample_dir, "inklabels.png")).all()


def test_write_sample__run_lengths_are_the_labels(sample_dir):
    head, line = (sample_dir / "train/1/inklabels_rle.csv").read_text().splitlines()
    assert head == "Id,Predicted"
    numbers = [int(word) for word in line.removeprefix("1,").split()]
    found = np.zeros(SIZE, np.uint8).ravel()
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        found[start - 1 : start - 1 + length] = 255
    assert np.array_equal(found.reshape(SIZE), picture(sample_dir, "inklabels.png"))


def test_run_lengths__rows_first_from_one():
    assert run_lengths(np.array([[1, 0, 1], [1, 0, 0]], bool)) == "1 1 3 2"
    assert run_lengths(np.zeros((2, 2), bool)) == ""


def test_write_sample__surface_is_the_volume_along_its_normals(sample_dir):
    spiral, layers = roll_up(*SIZE, 0), surface(sample_dir)
    for row in (0, 77, 191):
        slice_ = tifffile.imread(sample_dir / VOLUME / f"{row:05d}.tif").astype(float)
        places, normals = spiral.recto(row)
        for layer in (0, 32, 50):
            at = places + (layer - 32) * normals
            wanted = map_coordinates(slice_, at, order=1)
            assert abs(layers[layer, row] - wanted).max() < 1


def test_write_sample__surface_is_layer_32(sample_dir):
    is_sheet = picture(sample_dir, "mask.png") > 0
    brightness = np.array([layer[is_sheet].mean() for layer in surface(sample_dir)])
    # Papyrus below, air above, and half of each where the surface is.
    papyrus, air = brightness[24:28].mean(), brightness[37:40].mean()
    assert papyrus > air + 15000
    assert brightness[32] == pytest.approx((papyrus + air) / 2, rel=0.15)


def test_write_sample__mask_is_where_papyrus_is(sample_dir):
    is_sheet = picture(sample_dir, "mask.png") > 0
    inside = surface(sample_dir, range(24, 29)).mean(0)
    assert area_under_curve(inside.ravel(), is_sheet.ravel()) > 0.99


def test_write_sample__infrared_shows_the_letters(sample_dir):
    """Each letter is the one of the alphabet whose shape fits best."""
    card = (sample_dir / "DATA_CARD.md").read_text()
    lines = re.search(r"written on it:\n\n```\n(.*?)\n```", card, re.DOTALL)[1].split("\n")
    dark = 255.0 - picture(sample_dir, "ir.png")
    scale, font = 6, ImageFont.load_default_imagefont()
    shapes = {}
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        page = Image.new("L", (8, 11))
        ImageDraw.Draw(page).text((0, 0), letter, fill=1, font=font)
        shapes[letter] = np.kron(np.array(page, float), np.ones((scale, scale)))
    read = right = 0
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            if letter == " ":
                continue
            y, x = 24 + 11 * scale * row, 24 + 8 * scale * column
            cell = dark[y : y + 11 * scale, x : x + 8 * scale].ravel()
            fits = {k: np.corrcoef(cell, v.ravel())[0, 1] for k, v in shapes.items()}
            read, right = read + 1, right + (max(fits, key=fits.get) == letter)
    assert read > 15
    assert right >= 0.9 * read


def test_carbon__no_layer_shows_ink_but_texture_does(sample_dir):
    single, texture = check_carbon(sample_dir, width=3)
    assert single < 0.65
    assert texture > 0.9


def test_carbon__labels_lie_where_the_texture_is_to_the_pixel(sample_dir):
    texture = np.log(unevenness(surface(sample_dir, range(29, 33)), 1))
    is_ink = picture(sample_dir, "inklabels.png") > 0
    inner = (slice(20, -20), slice(20, -20))
    fits = {}
    for down in range(-4, 5):
        for right in range(-4, 5):
            moved = np.roll(is_ink, (down, right), (0, 1))[inner]
            fits[down, right] = np.corrcoef(moved.ravel(), texture[inner].ravel())[0, 1]
    best = max(fits, key=fits.get)
    assert max(map(abs, best)) <= 1, best


@pytest.mark.slow
def test_carbon__default_size(tmp_path):
    write_sample(tmp_path / "out")
    single, texture = check_carbon(tmp_path / "out", width=4)
    assert single < 0.65
    assert texture > 0.95


@pytest.mark.slow
def test_dense__faint_in_a_pixel_but_not_in_a_stroke(tmp_path):
    write_sample(tmp_path / "out", ink="dense")
    layers = surface(tmp_path / "out", range(22, 40))
    is_sheet = picture(tmp_path / "out", "mask.png") > 0
    ink = (picture(tmp_path / "out", "inklabels.png") > 0)[is_sheet]
    for layer in layers:
        with_ink, without = layer[is_sheet][ink], layer[is_sheet][~ink]
        spread = np.sqrt((with_ink.var() + without.var()) / 2)
        assert abs(with_ink.mean() - without.mean()) < spread
    # As large as a stroke, and longer across the fibres than along them.
    stroke = gaussian_filter(layers[5:9].mean(0), (8, 5))
    assert area_under_curve(stroke[is_sheet], ink) > 0.9


def test_dense__is_brighter_below_the_surface(tiny_dir, tmp_path):
    write_sample(tmp_path / "out", **TINY, ink="dense")
    ink = picture(tmp_path / "out", "inklabels.png") > 0
    assert np.array_equal(ink, picture(tiny_dir, "inklabels.png") > 0)
    brighter = (surface(tmp_path / "out") - surface(tiny_dir))[:, ink].mean(1)
    assert brighter[28:31].min() > 2000
    assert abs(brighter[15:20]).max() < 300


def test_write_sample__card(tiny_dir):
    card = (tiny_dir / "DATA_CARD.md").read_text()
    for text in ("sample scroll", "ink: carbon", "seed: 0", "departures", "CC0", "128 rows"):
        assert text in card
    listed = dict(reversed(pair) for pair in re.findall(r"^(\w{64})  (\S+)$", card, re.M))
    assert listed == {k: v for k, v in contents(tiny_dir).items() if k != "DATA_CARD.md"}


def test_write_sample__repeats_by_seed(tiny_dir, tmp_path):
    write_sample(tmp_path / "again", **TINY)
    assert contents(tmp_path / "again") == contents(tiny_dir)
    write_sample(tmp_path / "other", **TINY, seed=1)
    other = picture(tmp_path / "other", "inklabels.png")
    assert not np.array_equal(other, picture(tiny_dir, "inklabels.png"))


def test_write_sample__complete_folder_is_not_computed_again(tiny_dir):
    lines = []
    write_sample(tiny_dir, **TINY, progress=lines.append)
    assert lines == [f"{tiny_dir}: all 199 files are there, unaltered"]


def test_write_sample__interrupt_leaves_nothing(tmp_path):
    def interrupt(line):
        if "scanned" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "out", **TINY, progress=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (127, 192)}, "size is 127,192; give at least 128 rows and 192 columns"),
        ({"size": (128, 191)}, "so that letters have room"),
        ({"size": (10_000, 10_000)}, "at most 40000000 pixels"),
        ({"ink": "blood"}, "ink is 'blood'; choose from carbon, dense"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_write_sample__refuses_bad_parameters(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_sample(tmp_path / "out", **{**TINY, **options})
    assert not (tmp_path / "out").exists()
