import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from hpctrain.config.document import Document
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.convert.command import run as convert
from hpctrain.errors import ConfigError, DataError
from hpctrain.index import read_index, verify_index
from hpctrain.index.leaks import check_leaks
from hpctrain.index.scroll.build import build_scroll_index
from hpctrain.index.scroll.folders import layer_files
from hpctrain.index.scroll.region import Box, around, disjoint
from hpctrain.index.store import save_index
from hpctrain.index.windows.place import window_of
from tests.jobs import mantle
from tests.unit.data.scroll.builders import (
    SHAPE,
    Quiet,
    places,
    scroll,
    write_fragment,
    write_layers,
)


def build(root, **values):
    return build_scroll_index(scroll(root, **values), Path("/"))


def test_build__rows_have_files_and_cells_of_each_split(tmp_path):
    write_fragment(tmp_path / "train" / "1")
    index = build(tmp_path, volumes=["train/*"])
    train, held = index.rows
    assert [row.split for row in index.rows] == ["train", "validation"]
    assert [len(row.paths("volume")) for row in index.rows] == [9, 9]
    assert train["labels"] == "train/1/inklabels.png"
    assert window_of(train) == ((0, 0, 0), (9, 40, 51))
    assert window_of(held) == ((0, 0, 51), (9, 40, 9))
    assert index.digest == build(tmp_path, volumes=["train/1"]).digest
    save_index(index, tmp_path)
    again = read_index(tmp_path)
    assert again.rows == index.rows
    verify_index(again, content=True)
    check_leaks(again)


def test_build__layers_out_of_range_are_not_read(tmp_path):
    write_layers(tmp_path / "s", places())
    index = build(tmp_path, layers=[2, 7])
    assert index.rows[0].paths("volume") == tuple(f"s/{z:02d}.tif" for z in range(2, 7))


def test_build__many_files_are_several_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("hpctrain.index.scroll.build._MOST_FILES", 4)
    write_layers(tmp_path / "s", places())
    index = build(tmp_path)
    rows = index.split("train")
    assert [(row.id, row["z"], row["depth"]) for row in rows] == [
        ("s/train/000000", "0", "4"),
        ("s/train/000004", "4", "4"),
        ("s/train/000008", "8", "1"),
    ]
    from hpctrain.data.scroll import ScrollDataset

    data = ScrollDataset(scroll(tmp_path), index, "train", 0)
    assert data.volumes[0].boxes == [Box((0, 0, 0), (9, 40, 51))]
    assert (data.volumes[0].read((2, 3, 4), (5, 2, 2)) == places()[2:7, 3:5, 4:6]).all()


def _transposed(folder):
    Image.fromarray(np.zeros(SHAPE[:0:-1], np.uint8)).save(folder / "mask.png")


def _truncated(folder):
    path = folder / "surface_volume" / "03.tif"
    path.write_bytes(path.read_bytes()[:-500])


def _unlike(folder):
    tifffile.imwrite(folder / "surface_volume" / "04.tif", np.zeros((40, 61), np.uint16))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_transposed, r"mask.png: 60 x 40 pixels \(y, x\), which is transposed, but the layers"),
        (_truncated, r"surface_volume/03.tif: truncated: \d+ bytes"),
        (_unlike, r"04.tif: 40 x 61 of uint16, but 00.tif has 40 x 60"),
        (lambda f: (f / "surface_volume" / "05.tif").unlink(), "layer 5 is missing"),
    ],
)
def test_build__bad_files_are_named(tmp_path, spoil, told):
    spoil(write_fragment(tmp_path / "1"))
    with pytest.raises(DataError, match=told):
        build(tmp_path)


def test_build__pictures_among_the_layers(tmp_path):
    folder = write_fragment(tmp_path / "1")
    for name in ("inklabels.png", "mask.png"):
        (folder / name).rename(folder / "surface_volume" / name)
    (folder / "surface_volume").rename(tmp_path / "slices")
    row = build(tmp_path, volumes=["slices"]).rows[0]
    assert (row["labels"], row["mask"]) == ("slices/inklabels.png", "slices/mask.png")


def test_build__pictures_beside_layers_that_are_named(tmp_path):
    write_fragment(tmp_path / "1")
    row = build(tmp_path, volumes=["1/surface_volume"]).rows[0]
    assert (row["labels"], row["mask"]) == ("1/inklabels.png", "1/mask.png")
    alone = build(tmp_path / "1" / "surface_volume", volumes=["."]).rows[0]
    assert alone["mask"] == ""  # it is not below the root


@pytest.mark.parametrize(("names", "odd"), [("ab", ""), ("a0", "a"), ("012a", "a"), ("ab0", "a")])
def test_layer_files__the_odd_one_is_named(tmp_path, names, odd):
    for name in names:
        (tmp_path / f"{name}.tif").touch()
    if odd:
        with pytest.raises(DataError, match=f"{odd}.tif is named unlike the"):
            layer_files(tmp_path)
    else:
        assert [file.stem for file in layer_files(tmp_path)] == sorted(names)


@pytest.mark.parametrize("prefix", ["", "layer_"])
def test_build__a_picture_does_not_stand_for_a_layer(tmp_path, prefix):
    folder = write_fragment(tmp_path / "1") / "surface_volume"
    for file in list(folder.iterdir()):
        file.rename(folder / f"{prefix}{file.name}")
    (folder / f"{prefix}05.tif").rename(folder / "composite.tif")
    told = f"surface_volume: composite.tif is named unlike the 8 layers such as {prefix}00.tif"
    with pytest.raises(DataError, match=told):
        build(tmp_path)


@pytest.mark.parametrize("pattern", ["data/train/1", "data/train/*", "link/train/1"])
def test_build__absolute_paths_below_the_root(tmp_path, pattern):
    root = tmp_path / "data"
    write_fragment(root / "train" / "1")
    (tmp_path / "link").symlink_to(root)
    index = build(root, volumes=[str(tmp_path / pattern)])
    assert index.digest == build(root, volumes=["train/1"]).digest


@pytest.mark.parametrize("key", ["volumes", "validation.volumes"])
def test_build__absolute_paths_elsewhere(tmp_path, key):
    write_fragment(tmp_path / "root" / "1")
    other = str(write_fragment(tmp_path / "other" / "1"))
    values = {"volumes": [other]} if key == "volumes" else {"validation": {"volumes": [other]}}
    told = f"data.{key}: '{other}' is not below data.root, .*; give a path relative to it"
    with pytest.raises(DataError, match=told):
        build(tmp_path / "root", **values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"volumes": ["gone*"]}, r"data.volumes: no file or folder of .* fits 'gone\*'"),
        ({"volumes": ["*"], "window": [3, 16, 16]}, "data.window: 3 x 16 x 16 cells"),
        ({"columns": [0, 99]}, r"data.columns: \[0, 99\], but 1 has 60 columns along x"),
        ({"validation": {"volumes": ["1"]}}, "holds all volumes; leave one to train on"),
        ({"volumes": ["1/ir.txt"]}, "is no volume; give folders of TIFF layers"),
    ],
)
def test_build__what_does_not_fit(tmp_path, values, told):
    folder = write_fragment(tmp_path / "1")
    (folder / "ir.txt").write_text("no picture")
    with pytest.raises(DataError, match=told):
        build(tmp_path, **values)


def test_build__volpkg_of_several_volumes(tmp_path):
    for name in ("2023", "2024"):
        write_layers(tmp_path / "s.volpkg" / "volumes" / name, places())
    with pytest.raises(
        DataError, match="has 2 volumes; name one with data.array: it has 2023, 2024"
    ):
        build(tmp_path)


def test_build__copies_in_both_splits(tmp_path):
    write_fragment(tmp_path / "1")
    write_fragment(tmp_path / "2")
    with pytest.raises(DataError, match="2: is to validate on, but has the same content as 1"):
        build(tmp_path, volumes=["1"], validation={"volumes": ["2"]})


def test_build__copies_of_layers_where_volumes_are_cut_along_z(tmp_path):
    """The second volume is the first one's upper part: its last layers are trained on there."""
    layers = np.random.default_rng(0).integers(0, 999, (20, 40, 60)).astype(np.uint16)
    layers[[0, 1]] = layers[[10, 11]] = 0  # empty ones are no copies
    write_layers(tmp_path / "1", layers)
    write_layers(tmp_path / "2", layers[:12])
    told = "2/0[89].tif: is to validate on, but 1, which is trained on, has a layer of the same"
    with pytest.raises(DataError, match=told):
        build(tmp_path, validation={"share": 0.3, "axis": "z"})
    write_layers(tmp_path / "alone" / "2", np.concatenate([layers[:2], layers[:10] + 1000]))
    (tmp_path / "1").rename(tmp_path / "alone" / "1")
    assert build(tmp_path / "alone", validation={"share": 0.3, "axis": "z"}).rows


def test_build__one_blank_layer_of_each_volume_is_no_copy(tmp_path):
    layers = np.random.default_rng(0).integers(1, 999, (3, 9, 40, 60)).astype(np.uint16)
    layers[:, 0] = 0
    for number, own in enumerate(layers):
        write_fragment(tmp_path / str(number), own)
    assert build(tmp_path).rows
    last = tmp_path / "2" / "surface_volume" / "08.tif"
    shutil.copy(tmp_path / "1" / "surface_volume" / "08.tif", last)
    with pytest.raises(DataError, match="08.tif: is to validate on, but [12], which is trained on"):
        build(tmp_path)


@pytest.mark.parametrize("is_zarr", [False, True])
def test_build__labels_of_some_volumes_alone(tmp_path, is_zarr):
    write_fragment(tmp_path / "1")
    folder = write_fragment(tmp_path / "2", places() + 1)
    if is_zarr:
        convert((folder,), "zarr", tmp_path / "3", {}, Quiet())
        shutil.rmtree(folder)
        assert build(tmp_path).rows
        shutil.rmtree(tmp_path / "3" / "inklabels")
    else:
        (folder / "inklabels.png").unlink()
    told = r"data.labels: [23] has no 'inklabels', and other volumes have; label all of them"
    with pytest.raises(DataError, match=told):
        build(tmp_path)
    assert build(tmp_path, labels=None).rows


@pytest.mark.parametrize("pattern", ["../other/1", "1/../1", "HERE/root/../other/1"])
def test_build__paths_that_go_up(tmp_path, pattern):
    write_fragment(tmp_path / "root" / "1")
    write_fragment(tmp_path / "other" / "1")
    pattern = pattern.replace("HERE", str(tmp_path))
    with pytest.raises(DataError, match=r"data.volumes: .* has '\.\.', which leads elsewhere"):
        build(tmp_path / "root", volumes=[pattern])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a_00", "a_01", "a_03"), "layer 2 is missing .between a_01.tif and a_03.tif"),
        (("a_00", "a_02", "a_03"), "layer 1 is missing .between a_00.tif and a_02.tif"),
        (("s2_1_x", "s2_2_x", "s2_4_x"), "layer 3 is missing"),
        (("0", "2", "3"), "layer 1 is missing .between 0.tif and 2.tif"),
        (("l1", "l01", "l2"), "layer 1 is there twice"),
    ],
)
def test_layer_files__gaps(tmp_path, names, told):
    for name in names:
        (tmp_path / f"{name}.tif").touch()
    with pytest.raises(DataError, match=told):
        layer_files(tmp_path)


def test_layer_files__of_two_numbers_have_no_gaps(tmp_path):
    for name in ("x_1_2", "x_1_4", "x_3_1"):  # nothing says which of them counts
        (tmp_path / f"{name}.tif").touch()
    assert len(layer_files(tmp_path)) == 3


def test_around__every_window_that_keeps_off_fits_somewhere():
    used, held, window = Box((0, 0, 0), (6, 7, 8)), Box((2, 3, 2), (4, 5, 6)), (2, 2, 3)
    fitting = {
        (z, y, x)
        for box in disjoint([b.origins(window) for b in around(used, held) if b.holds(window)])
        for z in range(box.start[0], box.stop[0])
        for y in range(box.start[1], box.stop[1])
        for x in range(box.start[2], box.stop[2])
    }
    everywhere = used.origins(window)
    expected = {
        (z, y, x)
        for z in range(everywhere.stop[0])
        for y in range(everywhere.stop[1])
        for x in range(everywhere.stop[2])
        if not Box((z, y, x), (z + 2, y + 2, x + 3)).meet(held).count
    }
    assert fitting == expected
    boxes = disjoint([b.origins(window) for b in around(used, held) if b.holds(window)])
    assert sum(box.count for box in boxes) == len(expected)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"labels": None, "ink_share": 0.5}, "ink_share: has no effect with labels: null"),
        ({"pool_lasts": 10}, "pool_lasts has no effect without pool"),
        ({"normalization": "limits"}, "limits belongs to normalization: limits"),
        (
            {"normalization": "standard", "percentiles": [1, 99]},
            "percentiles has no effect with normalization: standard; leave it out",
        ),
        ({"rows": [5, 5]}, r"rows: found \[5, 5\]"),
        ({"layers": [0, 2]}, "layers: .* has 2, and a window takes 3"),
        ({"augment": {"depth_shift": 1}}, "no effect with sample: cube"),
        ({"validation": {"share": 0.1, "rows": [1, 2]}}, "allowed: one of volumes, share, a box"),
        ({"sample": "surface", "validation": {"axis": "z"}}, "validation: cuts along z"),
        ({"augment": {"blank_layers": 3}}, "leave at least one"),
    ],
)
def test_scroll__refused(tmp_path, values, told):
    with pytest.raises(ValueError, match=told):
        scroll(tmp_path, **values)


def test_job__data_of_another_kind_than_the_task(tmp_path):
    page = mantle().job.model_dump(mode="json")
    page["data"] = scroll(tmp_path).model_dump(mode="json")
    layers = Layers()
    layers.add(Document("job.yaml", page))
    told = "job.yaml: data.kind: found scroll, and task super_resolution learns from fields"
    with pytest.raises(ConfigError, match=told):
        layers.validate(Job)


def test_job__unknown_key_of_a_scroll(tmp_path):
    page = mantle().job.model_dump(mode="json")
    page["data"] = {**scroll(tmp_path).model_dump(mode="json"), "windows": [1, 2, 3]}
    layers = Layers()
    layers.add(Document("job.yaml", page))
    told = r"data.windows: unknown key 'windows'; choose from array, .*Did you mean 'window'\?"
    with pytest.raises(ConfigError, match=told):
        layers.validate(Job)
