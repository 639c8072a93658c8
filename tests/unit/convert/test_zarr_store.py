"""Volumes as sharded Zarr: the same numbers as the source, for zarr and for the own reader."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.shard_reader import ShardedArray, is_readable
from hpctrain.formats.sources import open_source
from tests.requires import SHARED_DATA, requires
from tests.unit.convert.builders import (
    run,
    volume,
    write_cosmoflow,
    write_fragment,
    write_layers,
)

SMALL = {"chunk": 16, "shard": 32}


@pytest.mark.parametrize("codec", ["zstd", "blosc", "none"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1", ">f4", "<i4"])
def test_zarr__two_readers_give_the_layers(tmp_path, codec, dtype):
    values = volume((37, 50, 83), dtype)
    write_layers(tmp_path / "layers", values)
    run(tmp_path / "layers", "zarr", tmp_path / "out", codec=codec, **SMALL)
    stored = zarr.open(tmp_path / "out", mode="r")["volume"]
    assert stored.dtype == values.dtype.newbyteorder("=")
    assert (stored.chunks, stored.shards) == ((16, 16, 16), (32, 32, 32))
    assert stored.metadata.dimension_names == ("z", "y", "x")
    np.testing.assert_array_equal(stored[:], values)
    assert is_readable(tmp_path / "out" / "volume")
    own = open_source(tmp_path / "out").array("volume")
    np.testing.assert_array_equal(own[:], values)
    rng = np.random.default_rng(0)
    for _ in range(20):
        low = [int(rng.integers(0, n)) for n in values.shape]
        key = tuple(
            slice(a, int(rng.integers(a, n)) + 1) for a, n in zip(low, values.shape, strict=True)
        )
        np.testing.assert_array_equal(own[key], values[key])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw", "rowsperstrip": 7},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 32)},
        {"compression": "deflate", "tile": (32, 16)},
        {"byteorder": ">", "compression": "lzw"},
        {"byteorder": ">"},
    ],
)
def test_zarr__every_kind_of_tiff(tmp_path, options):
    values = volume((5, 70, 45))
    write_layers(tmp_path / "layers", values, **options)
    source = open_source(tmp_path / "layers").array()
    np.testing.assert_array_equal(source[:], values)
    np.testing.assert_array_equal(source[1:3, 11:50, 7:40], values[1:3, 11:50, 7:40])
    run(tmp_path / "layers", "zarr", tmp_path / "out", **SMALL)
    np.testing.assert_array_equal(open_source(tmp_path / "out").array()[:], values)


def test_zarr__a_stack_in_one_file(tmp_path):
    values = volume((5, 30, 20))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    np.testing.assert_array_equal(open_source(tmp_path / "a.tif").array()[:], values)


def test_zarr__pictures_among_the_layers(tmp_path):
    values = volume((7, 50, 33))
    write_fragment(tmp_path / "frag", values)
    layers = tmp_path / "frag" / "surface_volume"
    for name in ("inklabels.png", "mask.png"):
        (tmp_path / "frag" / name).rename(layers / name)
    run(layers, "zarr", tmp_path / "out")
    labels = np.asarray(Image.open(layers / "inklabels.png"))
    np.testing.assert_array_equal(zarr.open(tmp_path / "out")["inklabels"][:], labels)


@pytest.mark.parametrize("top", [1, 255])
def test_zarr__a_fragment_with_its_labels_and_mask(tmp_path, top):
    values = volume((7, 50, 33))
    write_fragment(tmp_path / "frag", values, top)
    run(tmp_path / "frag", "zarr", tmp_path / "out", crop=((1, 6), (10, 42), (3, 30)))
    group = zarr.open(tmp_path / "out", mode="r")
    np.testing.assert_array_equal(group["volume"][:], values[1:6, 10:42, 3:30])
    labels = np.asarray(Image.open(tmp_path / "frag" / "inklabels.png"))
    assert set(np.unique(group["inklabels"][:])) == {0, top}, "labels are kept as they are"
    np.testing.assert_array_equal(group["inklabels"][:], labels[10:42, 3:30])
    np.testing.assert_array_equal(group["mask"][:], (values[3] > 1000)[10:42, 3:30])
    assert group["mask"].metadata.dimension_names == ("y", "x")


def test_zarr__labels_that_are_transposed_are_refused(tmp_path):
    write_fragment(tmp_path / "frag", volume())
    Image.fromarray(np.zeros((33, 50), np.uint8)).save(tmp_path / "frag" / "mask.png")
    message = r"mask.png: 33 x 50 pixels \(y, x\), which is transposed, but the layers have 50 x 33"
    with pytest.raises(DataError, match=message):
        run(tmp_path / "frag", "zarr", tmp_path / "out")


def volpkg(folder, values):
    for name, volume_ in values.items():
        home = write_layers(folder / "volumes" / name, volume_)
        z, y, x = volume_.shape
        meta = {"slices": z, "height": y, "width": x, "voxelsize": 7.91, "type": "vol"}
        (home / "meta.json").write_text(json.dumps(meta))
    return folder


def test_zarr__volpkg(tmp_path):
    values = {"20230205180739": volume((4, 30, 20)), "20230206": volume((3, 20, 40), seed=1)}
    package = volpkg(tmp_path / "Scroll1.volpkg", values)
    run(package, "zarr", tmp_path / "first")
    np.testing.assert_array_equal(
        zarr.open(tmp_path / "first")["volume"][:], next(iter(values.values()))
    )
    assert zarr.open(tmp_path / "first")["volume"].attrs["voxelsize"] == 7.91
    run(package, "zarr", tmp_path / "both", variables=tuple(values))
    for name, expected in values.items():
        np.testing.assert_array_equal(zarr.open(tmp_path / "both")[name][:], expected)


def test_zarr__volpkg_that_is_not_whole(tmp_path):
    package = volpkg(tmp_path / "a.volpkg", {"1": volume((4, 30, 20))})
    (package / "volumes" / "1" / "03.tif").unlink()
    with pytest.raises(DataError, match="slices is 4 in meta.json, but 3 in the files"):
        run(package, "zarr", tmp_path / "out")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr__ome_zarr_and_its_levels(tmp_path, version):
    values = volume((20, 50, 33))
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    levels = {"0": values, "1": values[::2, ::2, ::2]}
    for name, level in levels.items():
        root.create_array(name, data=level, chunks=(8, 16, 16))
    scales = [{"axes": ["z", "y", "x"], "datasets": [{"path": p} for p in levels]}]
    root.attrs.update({"ome": {"multiscales": scales}} if version == 3 else {"multiscales": scales})
    run(tmp_path / "a.zarr", "zarr", tmp_path / "out")
    np.testing.assert_array_equal(zarr.open(tmp_path / "out")["volume"][:], values)
    run(tmp_path / "a.zarr", "npy", tmp_path / "low", variables=("1",))
    np.testing.assert_array_equal(np.load(tmp_path / "low" / "a.npy"), levels["1"])


def test_zarr__fields_keep_names_and_a_volume_may_be_npy(tmp_path):
    source = write_cosmoflow(tmp_path / "a.hdf5")
    run(source, "zarr", tmp_path / "out")
    fields = open_source(tmp_path / "out").array()
    assert fields.channels == ("z=0", "z=0.5", "z=1.5", "z=3")
    np.testing.assert_array_equal(fields[:], open_source(source).array()[:])
    write_layers(tmp_path / "layers", volume())
    run(tmp_path / "layers", "npy", tmp_path / "npy")
    np.testing.assert_array_equal(np.load(tmp_path / "npy" / "layers.npy"), volume())


def test_zarr__empty_space_takes_no_room(tmp_path):
    values = np.zeros((32, 64, 64), np.uint16)
    values[3, 40, 50] = 7
    write_layers(tmp_path / "layers", values)
    run(tmp_path / "layers", "zarr", tmp_path / "out", codec="none", **SMALL)
    shards = [p for p in (tmp_path / "out" / "volume" / "c").rglob("*") if p.is_file()]
    assert [p.stat().st_size for p in shards] == [2 * 16**3 + 8 * 16 + 4]
    np.testing.assert_array_equal(zarr.open(tmp_path / "out")["volume"][:], values)
    np.testing.assert_array_equal(open_source(tmp_path / "out").array()[:], values)


def test_zarr__negative_zero_is_kept(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 4, 4), -0.0, np.float32))
    run(tmp_path / "a.npy", "zarr", tmp_path / "out")
    assert np.signbit(zarr.open(tmp_path / "out", mode="r")["volume"][:]).all()


def test_zarr__a_torn_shard_is_found(tmp_path):
    write_layers(tmp_path / "layers", volume((20, 40, 40)))
    run(tmp_path / "layers", "zarr", tmp_path / "out", **SMALL)
    shard = tmp_path / "out" / "volume" / "c" / "0" / "0" / "0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-7])
    with pytest.raises(DataError, match=r"c/0/0/0: is torn \(its table of chunks is damaged\)"):
        ShardedArray(tmp_path / "out" / "volume").read((slice(0, 4),) * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 16, "shard": 40}, "--shard: found 40; allowed: multiples of the chunk's 16"),
        ({"variables": ("volum",)}, "no variable 'volum'; choose from volume. Did you mean"),
        ({"crop": ((0, 8), (None, None), (None, None))}, "--crop: found 0:8 along z, where"),
        ({"crop": ((None, None),) * 4}, "--crop: 4 ranges, but 'volume' has the axes z, y, x"),
        ({"dtype": "uint8"}, "--dtype uint8: .* of volume would become .*; keep uint16"),
        ({"dtype": "int8"}, "--dtype int8: .* of volume would become .*; keep uint16"),
        ({"dtype": "complex64"}, "--dtype: found 'complex64'; allowed: float16 to float64"),
        ({"decode": True}, "--decode: has no effect with --to zarr; it is for records"),
        ({"codec": "gzip"}, "--codec: found 'gzip'; choose from zstd, blosc, none"),
    ],
)
def test_zarr__options_that_make_no_sense(tmp_path, options, message):
    write_layers(tmp_path / "layers", volume((7, 50, 33)))
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "layers", "zarr", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "02.tif").unlink(), "layer 2 is missing .between 01.tif and 03.tif."),
        (lambda f: (f / "02.tif").write_bytes(b"II*\0"), r"02.tif: (is no TIFF file|trunc)"),
        (lambda f: (f / "02.tif").write_bytes(b"hello"), "02.tif: is no TIFF file"),
        (
            lambda f: (f / "02.tif").write_bytes((f / "02.tif").read_bytes()[:-300]),
            "02.tif: (truncated|is no TIFF)",
        ),
        (
            lambda f: tifffile.imwrite(f / "02.tif", np.zeros((33, 50), np.uint16)),
            r"02.tif: 33 x 50 pixels \(y, x\) of uint16, but 00.tif has 50 x 33",
        ),
        (
            lambda f: tifffile.imwrite(f / "02.tif", np.zeros((50, 33, 3), np.uint8)),
            "02.tif: holds a picture of shape .50, 33, 3.; give greyscale",
        ),
    ],
)
def test_zarr__broken_layers_are_one_sentence(tmp_path, break_it, message):
    break_it(write_layers(tmp_path / "layers", volume((5, 50, 33))))
    with pytest.raises(DataError, match=message) as info:
        run(tmp_path / "layers", "zarr", tmp_path / "out")
    assert len(str(info.value).splitlines()) == 1


def test_zarr__a_strip_that_is_damaged(tmp_path):
    layers = write_layers(tmp_path / "layers", volume((2, 50, 33)), compression="zlib")
    data = bytearray((layers / "01.tif").read_bytes())
    with tifffile.TiffFile(layers / "01.tif") as file:
        start = file.pages[0].dataoffsets[0]
    data[start : start + 20] = b"\xff" * 20
    (layers / "01.tif").write_bytes(data)
    with pytest.raises(DataError, match="01.tif: strip or tile 0 cannot be unpacked"):
        run(layers, "zarr", tmp_path / "out")


def test_zarr__hostile_names(weird_tmp_path):
    folder = weird_tmp_path / "the scroll's \n $volume"
    write_fragment(folder, volume())
    run([folder, write_layers(weird_tmp_path / "b", volume())], "zarr", weird_tmp_path / "out")
    source = open_source(weird_tmp_path / "out")
    assert len(source.arrays) == 4
    for array in source.arrays:
        if array.name.endswith("volume"):
            np.testing.assert_array_equal(array[:], volume())


@requires(shared_data=True)
def test_zarr__real_slices_of_a_scroll(tmp_path):
    slices = np.load(SHARED_DATA / "vesuvius" / "campfire_scroll_slices_280.npz")["slices"]
    values = slices[:, :, :251]  # not square, so that y and x cannot be mistaken
    write_layers(tmp_path / "layers", values, compression="lzw")
    run(tmp_path / "layers", "zarr", tmp_path / "out", memory_mb=8)
    np.testing.assert_array_equal(zarr.open(tmp_path / "out")["volume"][:], values)
    np.testing.assert_array_equal(open_source(tmp_path / "out").array()[:], values)


def test_zarr__digests_are_of_the_level_that_is_taken(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    for name in "01":
        root.create_array(name, data=volume((8, 9, 10)), chunks=(8, 8, 8))
    scales = [{"datasets": [{"path": "0"}, {"path": "1"}]}]
    root.attrs.update({"multiscales": scales})
    run(tmp_path / "a.zarr", "zarr", tmp_path / "out")
    lines = (tmp_path / "out" / "SOURCES.sha256").read_text().splitlines()
    names = {line.split(f"{tmp_path}/a.zarr/")[1] for line in lines}
    chunks = {f"0/0.{y}.{x}" for y in (0, 1) for x in (0, 1)}
    assert {n for n in names if not n.split("/")[-1].startswith(".z")} == chunks
    assert {".zgroup", ".zattrs", "0/.zarray"} <= names


def test_zarr__layers_that_were_written_again_are_read_again(tmp_path):
    for seed in (0, 1):
        values = volume((2, 30, 20), seed=seed)
        write_layers(tmp_path / "layers", values, compression="lzw")
        np.testing.assert_array_equal(open_source(tmp_path / "layers").array()[:], values)
