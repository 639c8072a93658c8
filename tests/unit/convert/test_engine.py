"""What is in the way of a conversion, what is said, and what is left alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hpctrain.convert import engine
from hpctrain.convert.journal import Journal
from hpctrain.errors import ConfigError, DataError
from tests.unit.convert.builders import Quiet, run, tree, volume, write_layers
from tests.unit.data.builders import random_values, write_netcdf3


@pytest.fixture
def source(tmp_path):
    np.save(tmp_path / "a.npy", volume((2, 9, 8, 7), np.float32))
    return tmp_path / "a.npy"


def test_convert__is_done_once(tmp_path, source):
    assert not run(source, "npy", tmp_path / "out").was_complete
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    assert run(source, "npy", tmp_path / "out").was_complete
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "out.partial").exists()


def test_convert__what_is_complete_must_be_there(tmp_path, source):
    out = tmp_path / "out"
    run(source, "npy", out)
    whole = (out / "a.npy").read_bytes()
    (out / "a.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"a.npy: has \d+ bytes, \d+ when written; restore it, or"):
        run(source, "npy", out)
    (out / "a.npy").unlink()
    with pytest.raises(DataError, match=r"a.npy: is missing; restore it, or remove"):
        run(source, "npy", out)
    (out / "a.npy").write_bytes(whole)
    assert run(source, "npy", out).was_complete


@pytest.mark.parametrize("to", ["npy", "zarr"])
def test_convert__compares_what_was_not_compared(tmp_path, source, to):
    out = tmp_path / "out"
    run(source, to, out, verify=False)
    assert run(source, to, out, verify=False).was_complete
    result = run(source, to, out)
    assert (result.was_complete, result.is_verified) == (False, True)
    run(source, to, tmp_path / "expected")
    assert tree(out) == tree(tmp_path / "expected")
    assert run(source, to, out).was_complete
    assert not (tmp_path / "out.partial").exists()


def test_convert__compares_later_and_finds_other_numbers(tmp_path, source):
    out = tmp_path / "out"
    run(source, "npy", out, verify=False)
    data = bytearray((out / "a.npy").read_bytes())
    data[200] ^= 1
    (out / "a.npy").write_bytes(data)
    for _ in range(2):
        with pytest.raises(DataError, match="a.npy: holds other numbers than its source"):
            run(source, "npy", out)
    assert json.loads((out / "data_card.json").read_text())["verified"] is False


def test_convert__another_licence_is_written_on_the_card(tmp_path, source):
    out = tmp_path / "out"
    run(source, "npy", out, licence="CC0")
    result = run(source, "npy", out, licence="CC BY 4.0")
    assert (result.was_complete, result.has_new_card) == (True, True)
    assert not run(source, "npy", out).has_new_card
    run(source, "npy", tmp_path / "expected", licence="CC BY 4.0")
    assert tree(out) == tree(tmp_path / "expected")


def test_convert__leaves_a_folder_beside_a_complete_one_alone(tmp_path, source):
    run(source, "npy", tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "mine").write_text("precious")
    assert run(source, "npy", tmp_path / "out").was_complete
    assert (tmp_path / "out.partial" / "mine").read_text() == "precious"


def test_convert__never_overwrites(tmp_path, source):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="out: is there already, and not of these sources"):
        run(source, "npy", tmp_path / "out")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match="file: is a file; give the name of a new folder"):
        run(source, "npy", tmp_path / "file")
    with pytest.raises(ConfigError, match="^/: is there already, and not of these sources"):
        run(source, "npy", Path("/"))
    with pytest.raises(ConfigError, match="no: is no folder"):
        run(source, "npy", tmp_path / "no" / "out")
    run(source, "npy", tmp_path / "done")
    with pytest.raises(ConfigError, match="done: is there already"):
        run(source, "npy", tmp_path / "done", dtype="float64")
    assert (tmp_path / "out" / "mine").read_text() == "precious"


def test_convert__an_empty_folder_is_taken(tmp_path, source):
    (tmp_path / "out").mkdir()
    run(source, "npy", tmp_path / "out")
    assert (tmp_path / "out" / "a.npy").is_file()


@pytest.mark.parametrize("is_there", [False, True])
def test_convert__a_link_to_an_empty_folder_is_taken(tmp_path, source, is_there):
    if is_there:
        (tmp_path / "big_disk").mkdir()
    (tmp_path / "out").symlink_to("big_disk")
    run(source, "npy", tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "big_disk" / "a.npy").is_file()
    assert run(source, "npy", tmp_path / "out").was_complete
    assert {p.name for p in tmp_path.iterdir()} == {"a.npy", "big_disk", "out"}


def test_convert__leaves_an_unfinished_one_of_another_kind_alone(tmp_path, source, monkeypatch):
    monkeypatch.setattr(engine, "_finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(source, "npy", tmp_path / "out")
    before = tree(tmp_path / "out.partial")
    with pytest.raises(ConfigError, match=r"unfinished conversion of another kind \(dtype differ"):
        run(source, "npy", tmp_path / "out", dtype="float64")
    np.save(source, np.zeros((2, 9, 8, 7)))
    with pytest.raises(ConfigError, match=r"\(sources differ\); remove it, or choose another"):
        run(source, "npy", tmp_path / "out")
    assert tree(tmp_path / "out.partial") == before


@pytest.mark.parametrize("name", ["mine", "data"])
def test_convert__a_folder_of_ones_own_with_that_name(tmp_path, source, name):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / name).write_text("precious")
    with pytest.raises(ConfigError, match=f"out.partial: holds '{name}' and no journal"):
        run(source, "npy", tmp_path / "out")
    assert (tmp_path / "out.partial" / name).read_text() == "precious"


def test_convert__an_option_that_fails_is_not_in_the_way(tmp_path):
    values = volume((2, 40, 40, 30), np.float32)
    values[-1, -1, -1, -1] = 1e30  # in the last block: others are written before
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ConfigError, match="--dtype float16: 1e.30 of a.npy, block"):
        run(tmp_path / "a.npy", "npy", tmp_path / "out", dtype="float16", workers=1)
    assert not (tmp_path / "out.partial").exists()
    run(tmp_path / "a.npy", "npy", tmp_path / "out", dtype="float64")


def test_convert__what_is_of_use_outlives_a_want_of_room(tmp_path, source, monkeypatch):
    with monkeypatch.context() as m:
        m.setattr(engine, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(source, "npy", tmp_path / "out")
    with monkeypatch.context() as m:
        m.setattr(engine.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, -9999))
        with pytest.raises(ConfigError, match="make room, or choose another --out"):
            run(source, "npy", tmp_path / "out")
    assert (tmp_path / "out.partial" / "data" / "a.npy").is_file()


def test_convert__two_at_once(tmp_path, source):
    journal = Journal(tmp_path / "out.partial", {"a": "conversion"}, "")
    with pytest.raises(ConfigError, match="out.partial: another conversion is at work here"):
        run(source, "npy", tmp_path / "out")
    journal.close()


def test_convert__a_source_that_changes_meanwhile(tmp_path, source, monkeypatch):
    right = engine._work

    def work(*args):
        right(*args)
        np.save(source, np.ones((2, 9, 8, 7)))

    monkeypatch.setattr(engine, "_work", work)
    with pytest.raises(DataError, match="files changed while they were converted"):
        run(source, "npy", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(engine, "_work", right)
    run(source, "npy", tmp_path / "out")


def test_convert__room_is_looked_for_beforehand(tmp_path, source, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(engine.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigError, match=r"0.0 GB more are needed and 0.0 GB are free; make room"):
        run(source, "npy", tmp_path / "out")


def test_convert__a_lost_file_is_made_again(tmp_path, source, monkeypatch):
    run(source, "npy", tmp_path / "expected")
    with monkeypatch.context() as m:
        m.setattr(engine, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(source, "npy", tmp_path / "out")
    (tmp_path / "out.partial" / "data" / "a.npy").unlink()
    run(source, "npy", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "expected")


def test_convert__progress_counts_all_bytes(tmp_path):
    layers = write_layers(tmp_path / "layers", volume((7, 50, 33)))
    progress = Quiet()
    options = engine.Options((layers,), "zarr", tmp_path / "out", workers=1)
    engine.convert(options, progress)
    assert [phase for phase, _, _ in progress.phases][:3] == [
        "reading digests",
        "writing",
        "comparing",
    ]
    assert progress.bytes == sum(total for _, total, _ in progress.phases)


def test_convert__no_verify_is_written_on_the_card(tmp_path, source):
    assert not run(source, "npy", tmp_path / "out", verify=False).is_verified
    page = json.loads((tmp_path / "out" / "data_card.json").read_text())
    assert page["verified"] is False
    assert "value by value: no" in (tmp_path / "out" / "DATA_CARD.md").read_text()


def test_convert__the_card_says_channels_behind_their_own_array(tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write_netcdf3(tmp_path / f"{name}.nc", random_values(seed=seed))
    sources = [tmp_path / f"{name}.nc" for name in "abc"]
    np.save(tmp_path / "d.npy", volume((3, 4, 5)))
    run([*sources[:2], tmp_path / "d.npy", sources[2]], "npy", tmp_path / "out")
    card = (tmp_path / "out" / "DATA_CARD.md").read_text()
    content = card.split("## Content\n\n")[1].split("\n\n")[0]
    a, b, d, c = content[2:].split("\n- ")
    assert a.startswith("`a.npy`")
    assert a.count("  - channel `") == c.count("  - channel `") == 4
    assert b.splitlines()[1:] == ["  - channels and axes as above"]
    assert len(d.splitlines()) == 1


@pytest.mark.parametrize(("given", "said"), [(None, "not stated"), ("CC BY-NC 4.0",) * 2])
def test_convert__licence(tmp_path, source, given, said):
    run(source, "npy", tmp_path / "out", licence=given)
    assert json.loads((tmp_path / "out" / "data_card.json").read_text())["licence"] == said


def test_convert__two_sources_of_one_name(tmp_path, source):
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b" / "a.npy", np.ones((3, 3, 3)))
    with pytest.raises(ConfigError, match="two sources would be stored as 'a'"):
        run([source, tmp_path / "b" / "a.npy"], "npy", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.xyz: truncated: 0 bytes"),
        (b"hello world", "a.xyz: is no array file"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'", "a.xyz: truncated"),
    ],
)
def test_convert__sources_that_are_none(tmp_path, content, message):
    (tmp_path / "a.xyz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "a.xyz", "npy", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: is a folder of no known layout"):
        run(tmp_path / "empty", "npy", tmp_path / "out")
    with pytest.raises(DataError, match="nowhere: does not exist; give npy, NetCDF"):
        run(tmp_path / "nowhere", "npy", tmp_path / "out")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (slice(4, 8), b"\0\0\0\0", "a.tif: holds no picture, as where its writing was interrupted"),
        (slice(12, 13), b"\x05", "a.tif: has a damaged header"),
        (slice(21, 22), b"\xff", "a.tif: truncated: .* by its header"),
    ],
)
def test_convert__a_tiff_whose_header_is_wrong(tmp_path, place, value, message):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint16))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[place] = value
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "a.tif", "zarr", tmp_path / "out")
