"""Pairs as packed records: the same arrays as from their files, and no torn file is read."""

import io
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from hpctrain.convert import record_store
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.mobotix import write_thermal
from hpctrain.formats.pairs import RecordPairs, from_folders, from_index
from hpctrain.formats.records import RecordFile
from hpctrain.index import store
from hpctrain.index.store import index_paths, load_index
from tests.requires import SHARED_DATA, requires
from tests.unit.convert.builders import run, write_index

SIZE = (12, 18)


@pytest.fixture
def index(tmp_path):
    """Four pairs: three usable, as JPEG beside a camera's CSV, raw or npy; one left out."""
    root = tmp_path / "raw"
    for name in ("rgb", "ir"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    samples = {}
    for i, ir in enumerate(
        (
            "a_right_18x12_14bit.thermal.celsius_position1.csv",
            "b_right_18x12_14bit.thermal.raw",
            "c.npy",
            "missing.csv",
        )
    ):
        counts = rng.integers(6000, 8000, SIZE).astype(np.uint16)
        picture = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(picture).save(root / "rgb" / f"{i}.jpg")
        if ir == "c.npy":
            np.save(root / "ir" / ir, counts.astype(">u2"))
        elif ir != "missing.csv":
            write_thermal(root / "ir" / ir, counts)
        samples[f"id {i}"] = {"rgb": f"rgb/{i}.jpg", "ir": f"ir/{ir}"}
    return write_index(root / "index.csv", root, samples, node="V017")


def index_again(index, **changed):
    """The same samples with the files as they are now; `changed` are cells of 'id 1'."""
    old = load_index(index)
    samples = {r.id: {p: r[p] for p in old.columns.modalities} for r in old.rows}
    samples["id 1"] |= changed
    write_index(index, old.root, samples, node="V017")


@pytest.mark.parametrize("decode", [False, True])
def test_records__give_the_arrays_of_the_files(tmp_path, index, decode):
    result = run(index, "records", tmp_path / "out", decode=decode)
    assert result.left_out == 1
    raw, packed = from_index(index), RecordPairs(tmp_path / "out")
    assert packed.parts == ("ir", "rgb")
    assert len(packed) == len(raw) == 3
    for number in range(3):
        assert packed.number(raw.id(number)) == number
        assert packed.meta(number) == raw.meta(number)
        for part in raw.parts:
            found, expected = packed.read(number, part), raw.read(number, part)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
    assert packed.read(0, "ir").shape == SIZE
    assert packed.read(0, "ir").dtype == np.uint16
    assert packed.read(0, "rgb").shape == (20, 30, 3)
    assert packed.meta(1) == {"node": "V017"}


def test_records__jpeg_bytes_are_those_of_the_file(tmp_path, index):
    run(index, "records", tmp_path / "out")
    packed = RecordPairs(tmp_path / "out")
    for number in range(3):
        original = (index.parent / "rgb" / f"{number}.jpg").read_bytes()
        assert packed.stored(number, "rgb", check=True) == original
    array = packed.stored(0, "ir")
    assert not array.flags.owndata, "a view of the mapped file"
    assert array.ctypes.data % 64 == 0


def test_records__several_files(tmp_path, index, monkeypatch):
    monkeypatch.setattr(record_store, "FILE_BYTES", 3000)
    run(index, "records", tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").glob("*.records"))
    assert names == [f"pairs-0000{i}.records" for i in range(3)]
    packed = RecordPairs(tmp_path / "out")
    assert [packed.id(i) for i in range(3)] == ["id 0", "id 1", "id 2"]
    with pytest.raises(IndexError):
        packed.id(3)


def test_records__off_the_law(tmp_path, index):
    path = next((index.parent / "ir").glob("a_*.csv"))
    text = path.read_text().splitlines()
    text[8] = text[8].replace(text[8].split(";")[0], "20.02", 1)
    path.write_text("\n".join(text) + "\n")
    index_again(index)
    with pytest.raises(DataError, match=r"row 1, column 1: 20.02 .* --keep-off-law stores"):
        run(index, "records", tmp_path / "out")
    run(index, "records", tmp_path / "out", keep_off_law=True)
    packed = RecordPairs(tmp_path / "out")
    assert packed.read(0, "ir").dtype == np.float64
    assert packed.read(0, "ir")[0, 0] == 20.02
    assert packed.read(1, "ir").dtype == np.uint16


def test_records__a_count_out_of_range_in_a_folder_named_law(tmp_path, index):
    folder = index.parent.rename(tmp_path / "lawson")
    path = folder / "ir" / "b_right_18x12_14bit.thermal.raw"
    path.write_bytes(b"\xff\xff" + path.read_bytes()[2:])
    samples = {"b": {"rgb": "rgb/1.jpg", "ir": f"ir/{path.name}"}}
    write_index(folder / "index.csv", folder, samples)
    for keep in (False, True):
        with pytest.raises(DataError, match=r"found 65535; allowed: a count of 0 to 16383$"):
            run(folder, "records", tmp_path / "out", keep_off_law=keep)


def test_records__folders_with_the_same_stems(tmp_path):
    for name in ("rgb", "ir"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for stem in ("b", "a", "weird ' $ ü"):
        picture = rng.integers(0, 255, (5, 9, 3)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "rgb" / f"{stem}.png")
        deep = rng.integers(0, 65535, (5, 9)).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / "ir" / f"{stem}.png")
    folders = [tmp_path / "rgb", tmp_path / "ir"]
    run(folders, "records", tmp_path / "out")
    raw, packed = from_folders(folders), RecordPairs(tmp_path / "out")
    assert [packed.id(i) for i in range(3)] == ["a", "b", "weird ' $ ü"]
    for number in range(3):
        for part in ("rgb", "ir"):
            np.testing.assert_array_equal(packed.read(number, part), raw.read(number, part))
    assert packed.read(0, "ir").dtype == np.uint16
    (tmp_path / "ir" / "a.png").unlink()
    with pytest.raises(DataError, match=r"ir: has no file a\.\*, as .*rgb has; remove it"):
        run(folders, "records", tmp_path / "other")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "has no foot"),
        (lambda data: data[:-700], "has no foot"),
        (lambda data: data[:100], "has 100 bytes"),
        (lambda data: b"", "is empty"),
        (lambda data: b"x" + data[1:], "is no file of records"),
        (lambda data: data[:16] + struct.pack("<I", 9) + data[20:], "is of version 9"),
        (lambda data: data.replace(b'"id":"id 1"', b'"id":"id 7"'), "has a damaged table"),
    ],
)
def test_records__torn_files_are_not_read(tmp_path, index, damage, message):
    run(index, "records", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.records")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        RecordPairs(tmp_path / "out")


def test_records__an_altered_part_is_found_by_its_digest(tmp_path, index):
    run(index, "records", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.records")
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(data)
    file = RecordFile(path)
    assert isinstance(file.stored(0, "rgb"), bytes)
    with pytest.raises(DataError, match="'rgb' of record 'id 0' was altered"):
        file.stored(0, "rgb", check=True)
    with pytest.raises(DataError, match="record 'id 0' has no 'depth'; it has"):
        file.stored(0, "depth")


def test_records__of_a_picture_that_is_none(tmp_path, index):
    (index.parent / "rgb" / "1.jpg").write_bytes(b"<html>not found</html>")
    index_again(index)
    with pytest.raises(DataError, match=r"rgb/1.jpg, .*: found bytes that begin with b'<html>no"):
        run(index, "records", tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("sources", [["raw/rgb"], ["raw/rgb", "raw/index.csv"], ["raw/ir/c.npy"]])
def test_records__of_what_are_no_pairs(tmp_path, index, sources):
    with pytest.raises(ConfigError, match="--to records: give one pair index"):
        run([tmp_path / s for s in sources], "records", tmp_path / "out")


def test_records__an_index_without_its_page(tmp_path, index):
    index.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=r"index.json: cannot be read: .*; build it again with"):
        run(index, "records", tmp_path / "out")


def test_records__several_files_of_a_modality(tmp_path, index):
    old = load_index(index)
    rows = [r.replace(rgb="rgb/1.jpg|rgb/2.jpg") if r.id == "id 1" else r for r in old.rows]
    store.save_index(store.Index(old.root, rows, {}, old.columns), index)
    with pytest.raises(DataError, match=r"'id 1' has 'rgb/1.jpg\|rgb/2.jpg' as rgb; records take"):
        run(index, "records", tmp_path / "out")


@pytest.mark.parametrize("name", [".", "index.json", "index"])
def test_records__the_index_by_its_other_names(tmp_path, index, name):
    assert run(index.parent / name, "records", tmp_path / "out").left_out == 1
    listed = (tmp_path / "out" / "SOURCES.sha256").read_text()
    assert all(f"  {path}\n" in listed for path in index_paths(index))


def test_records__an_index_altered_by_hand(tmp_path, index):
    index.write_text(index.read_text().replace(",bad,", ",ok,"))
    with pytest.raises(DataError, match=r"index.csv: altered since it was written"):
        run(index, "records", tmp_path / "out")


def test_records__an_index_whose_writing_was_interrupted(tmp_path, index):
    before = index.read_bytes()
    write_index(index, index.parent, {"new": {"rgb": "rgb/0.jpg", "ir": "ir/c.npy"}})
    index.rename(store._staged(index, load_index(index).digest))
    index.write_bytes(before)
    run(index, "records", tmp_path / "out")
    packed = RecordPairs(tmp_path / "out")
    assert [packed.id(i) for i in range(len(packed))] == ["new"]


def test_records__a_file_that_was_overwritten_after_indexing(tmp_path, index):
    picture = index.parent / "rgb" / "1.jpg"
    shutil.copy(index.parent / "rgb" / "0.jpg", picture)
    with pytest.raises(DataError, match=r"rgb/1.jpg: of 'id 1', has changed since it was indexed"):
        run(index, "records", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    index_again(index)
    run(index, "records", tmp_path / "out")


def test_records__an_index_of_nothing_usable(tmp_path, index):
    write_index(index, index.parent, {"gone": {"rgb": "rgb/9.jpg", "ir": "ir/c.npy"}})
    with pytest.raises(DataError, match="index.csv: has no row of status ok"):
        run(index, "records", tmp_path / "out")


def test_picture__truncated(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(whole, "JPEG")
    for name in ("rgb", "ir"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(whole.getvalue()[:300])
    pairs = from_folders([tmp_path / "rgb", tmp_path / "ir"])
    with pytest.raises(DataError, match="a: cannot be decoded as a picture"):
        pairs.read(0, "rgb")


@requires(shared_data=True)
def test_records__real_frames_of_cameras(tmp_path):
    sage = SHARED_DATA / "sage"
    for name in ("rgb", "ir"):
        (tmp_path / name).mkdir()
    recovered = next((sage / "recovered" / "thermal").glob("20230308*.csv"))
    genuine = next((sage / "mobotix_raw_sample").glob("*celsius.csv"))
    picture = next((sage / "recovered" / "rgb").glob("20230308*.jpg"))
    for stem, thermal in (("recovered", recovered), ("genuine", genuine)):
        shutil.copy(thermal, tmp_path / "ir" / f"{stem}.csv")
        shutil.copy(picture, tmp_path / "rgb" / f"{stem}.jpg")
    folders = [tmp_path / "rgb", tmp_path / "ir"]
    with pytest.raises(DataError, match="recovered.csv: .* not on the camera's law"):
        run(folders, "records", tmp_path / "out")
    run(folders, "records", tmp_path / "out", keep_off_law=True)
    packed = RecordPairs(tmp_path / "out")
    raw = np.fromfile(next((sage / "mobotix_raw_sample").glob("*.raw")), "<u2").reshape(480, 640)
    np.testing.assert_array_equal(packed.read(packed.number("genuine"), "ir"), raw)
    celsius = np.loadtxt(recovered, skiprows=8, delimiter=";")
    np.testing.assert_array_equal(packed.read(packed.number("recovered"), "ir"), celsius)
