"""`hpctrain convert` of data, as a user gives it."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpctrain.cli import convert_data, main
from hpctrain.formats.mobotix import write_thermal
from hpctrain.formats.sources import open_source
from tests.unit.convert.builders import volume, write_fragment, write_index, write_layers
from tests.unit.data.builders import random_values, write_netcdf3

REPO = Path(__file__).resolve().parents[3]

READER = '''
import numpy as np


class Text:
    """Numbers in lines of text, one line a row, an empty line between layers."""

    axes = ("z", "y", "x")

    def __init__(self, path):
        layers = path.read_text().split("\\n\\n")
        self.values = np.array([[line.split() for line in t.splitlines()] for t in layers], "i4")
        self.shape, self.dtype = self.values.shape, self.values.dtype
        self.attributes = {"licence": "CC0"}

    def read(self, key):
        return self.values[key]


class Wrong(Text):
    def read(self, key):
        return self.values


class Torn(Text):
    def read(self, key):
        raise EOFError("no more lines")


class Flat(Text):
    def __init__(self, path):
        self.shape, self.dtype = (), "f4"


class Vague(Text):
    def __init__(self, path):
        self.shape, self.dtype = (1, 2, 3), "number"


class Bare:
    def __init__(self, path):
        self.shape = (1, 2, 3)


class Broken:
    def __init__(self, path):
        raise KeyError("magic")
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_layers(tmp_path / "layers", volume((5, 20, 30)))
    np.save(tmp_path / "a.npy", volume((2, 4, 5, 6), np.float32))
    (tmp_path / "old.pbs").write_text("#!/bin/sh\n#PBS -l walltime=1:00:00\n")
    (tmp_path / "own_formats.py").write_text(READER)
    rows = "\n\n".join("\n".join("1 2 3 4" for _ in range(3)) for _ in range(2))
    (tmp_path / "numbers.txt").write_text(rows)
    yield tmp_path
    sys.modules.pop("own_formats", None)
    if "zarr.core.sync" in sys.modules:
        sys.modules["zarr.core.sync"].cleanup_resources()


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(["convert", *argv])
    return info.value.code or 0


def test_convert__says_what_it_does_and_what_came_of_it(here, capsys):
    assert run("layers", "--to", "zarr", "--out", "out") == 0
    out, err = capsys.readouterr()
    assert out.startswith("out: 7 files, 0.0 MB, compared with the source, in ")
    assert out.endswith("; see out/DATA_CARD.md\n")
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "reading digests",
        "writing",
        "comparing",
    ]
    assert run("layers", "--to", "zarr", "--out", "out") == 0
    assert "is complete, of the same sources and options" in capsys.readouterr().out


def test_convert__options_reach_the_store(here):
    options = "--variable channel_1 --crop :,1:3,2: --dtype float64 --workers 1 --memory 2"
    more = "--no-verify --licence CC0"
    argv = f"a.npy --to npy --out o {options} {more}".split()
    assert run(*argv) == 0
    found = np.load("o/a.npy")
    expected = np.load("a.npy")[1:2, :, 1:3, 2:]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)
    page = json.loads(Path("o/data_card.json").read_text())
    assert (page["licence"], page["verified"]) == ("CC0", False)


def test_convert__a_reader_of_ones_own(here):
    argv = ("numbers.txt", "--to", "zarr", "--out", "out", "--reader", "own_formats.Text")
    assert run(*argv) == 0
    import zarr

    stored = zarr.open("out", mode="r")["volume"]
    np.testing.assert_array_equal(stored[:], np.tile([1, 2, 3, 4], (2, 3, 1)))
    page = json.loads(Path("out/data_card.json").read_text())
    assert page["licence"] == "CC0"
    assert page["options"]["reader"] == "own_formats.Text"
    assert run(*argv) == 0


def test_convert__a_reader_that_was_edited_is_another(here, capsys):
    argv = ("numbers.txt", "--to", "npy", "--out", "out", "--reader", "own_formats.Text")
    assert run(*argv) == 0
    Path("own_formats.py").write_text(READER.replace("self.values[key]", "self.values[key] * 2"))
    sys.modules.pop("own_formats")
    assert run(*argv) == 2
    assert "out: is there already, and not of these sources and options" in capsys.readouterr().err


def test_convert__another_licence(here, capsys):
    assert run("a.npy", "--to", "npy", "--out", "out") == 0
    assert run("a.npy", "--to", "npy", "--out", "out", "--licence", "CC0") == 0
    assert capsys.readouterr().out.endswith("options; its card names the licence\n")
    assert Path("out/DATA_CARD.md").read_text().count("CC0") == 1


def test_convert__the_reader_of_the_how_to_page(here, monkeypatch):
    page = (REPO / "docs" / "how-to" / "bring-my-own-format.md").read_text()
    reader = next(b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class" in b)
    Path("frames.py").write_text(reader)
    frames = np.random.default_rng(0).integers(0, 999, (3, 480, 640)).astype("<u2")
    frames.tofile("camera.bin")
    (command,) = re.findall(r"^hpctrain convert (camera.*)$", page, re.MULTILINE)
    try:
        assert run(*command.split()) == 0
    finally:
        sys.modules.pop("frames", None)
    found = open_source(Path("camera"))
    np.testing.assert_array_equal(found.array("volume")[:], frames)
    assert found.array().attributes["units"] == "counts"
    assert json.loads(Path("camera/data_card.json").read_text())["licence"] == "CC BY 4.0"


def test_convert__the_arrays_of_the_how_to_page(here):
    """Its Python block runs, on sources of ours."""
    (here / "raw").mkdir()
    write_netcdf3(here / "raw" / "spherical001.nc", random_values())
    write_fragment(here / "Frag1" / "54keV_exposed_surface", volume((65, 70, 80)))
    write_pairs(here, "V017-2023-06-02")
    page = (REPO / "docs" / "how-to" / "bring-my-own-format.md").read_text()
    block = next(b for b in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "Frag1" in b)
    for line in block.splitlines():
        words = [w.replace("*", "001") for w in line.split()[2:]]
        assert run(*words) == 0
    code = next(b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "cube" in b)
    names: dict = {}
    exec(code.replace("1000:1064, 2000:2064", "5:69, 10:74"), names)
    np.testing.assert_array_equal(names["cube"], volume((65, 70, 80))[:64, 5:69, 10:74])
    assert names["fields"].shape == (2, 8, 12, 16)
    assert names["thermal"].dtype == np.uint16


def write_pairs(folder: Path, name: str) -> None:
    """A pair index of one sample."""
    counts = np.full((4, 6), 7000, np.uint16)
    thermal = "1_right_6x4_14bit.thermal.celsius_position1.csv"
    write_thermal(folder / thermal, counts)
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(folder / "1.jpg")
    write_index(folder / "pairs.csv", folder, {name: {"rgb": "1.jpg", "thermal": thermal}})


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("a.npy --to npy", "--out: is missing; --to npy needs the name of a new folder"),
        ("a.npy --to hdf --out o", "--to: found 'hdf'; choose from pbs, slurm, cobalt for a batch"),
        ("old.pbs --to slurm --dtype float32", "--dtype: has no effect on a batch script"),
        ("old.pbs a --to slurm", "--to slurm: translates one batch script, found 2 files"),
        ("a.npy --to npy --out o --codec zstd", "--codec: has no effect with --to npy; it is for"),
        ("a.npy --to npy --out o --steps 5:", "--steps: none of 1 sources is left"),
        ("a.npy --to npy --out o --steps x", "--steps: found 'x'; allowed: START:STOP:STRIDE"),
        ("a.npy --to npy --out o --steps ::0", "--steps: found '::0'; allowed: a STRIDE from 1"),
        ("a.npy --to npy --out o --crop 1-3", "--crop: found '1-3'; allowed: START:STOP"),
        (
            "a.npy --to npy --out o --variable v",
            "a.npy: has no variable 'v'; choose from",
        ),
        ("nosuch --to npy --out o", "nosuch: does not exist; give npy, NetCDF"),
        ("a.npy --to records --out o", "--to records: give one pair index"),
        ("a.npy --to npy --out o --reader Text", "--reader: found 'Text'; allowed: module.Class"),
        ("a.npy --to npy --out o --reader no.Text", "--reader: module 'no' cannot be imported"),
        ("a.npy --to npy --out o --reader own_formats.No", "--reader: module 'own_formats' has no"),
        ("a.npy --to npy --out o --reader own_formats.Bare", "--reader: Bare has no dtype, read"),
        (
            "a.npy --to npy --out o --reader own_formats.Broken",
            "--reader: Broken cannot open",
        ),
        (
            "a.npy --to npy --out o --reader own_formats.Flat",
            "--reader: Flat gives a shape without",
        ),
        (
            "a.npy --to npy --out o --reader own_formats.Vague",
            "--reader: Vague says of a.npy what makes no array: TypeError: data type 'number'",
        ),
        (
            "numbers.txt --to npy --out o --reader own_formats.Torn",
            "numbers.txt: Torn.read, given with --reader, failed on [0:2, 0:3, 0:4]: EOFError: no",
        ),
        (
            "numbers.txt --to npy --out o --reader own_formats.Wrong --crop 1:",
            "--reader: Wrong.read gave an array of shape [2, 3, 4], where",
        ),
    ],
)
def test_convert__bad_input_is_one_sentence(here, capsys, argv, message):
    assert run(*argv.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith(f"hpctrain: {message}"), err
    assert not Path("o").exists()


def test_convert__a_name_that_is_no_text(here, capsys):
    name = os.fsdecode(b"caf\xe9.npy")
    Path("a.npy").rename(name)
    assert run(name, "--to", "npy", "--out", "o") == 2
    assert "/caf\\udce9.npy': its name is no UTF-8; rename it" in capsys.readouterr().err
    assert not Path("o.partial").exists()


def test_convert__a_full_disk_is_one_sentence(here, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as m:
        m.setattr("hpctrain.convert.npy_store.os.pwrite", full)
        assert run("a.npy", "--to", "npy", "--out", "o") == 2
    assert "No space left on device; mend that, and the same" in capsys.readouterr().err
    assert run("a.npy", "--to", "npy", "--out", "o") == 0
    np.testing.assert_array_equal(np.load("o/a.npy"), np.load("a.npy"))


def test_convert__interrupted(here, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hpctrain.convert.npy_store.os.pwrite", stop)
    assert run("a.npy", "--to", "npy", "--out", "o") == 130
    assert "interrupted; the same command goes on from here" in capsys.readouterr().err


def test_convert__lines_some_seconds_apart(capsys, monkeypatch):
    monkeypatch.setattr(convert_data, "LINE_S", 0.0)
    lines = convert_data._Lines()
    with lines:
        lines.begin("writing", 4_000_000, 1_000_000)
        lines.advance(1_000_000)
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "writing: 4 MB, 1 MB done before"
    assert err[1].startswith("writing: 50 %, ")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals")
def test_convert__a_bar_on_a_terminal(here):
    primary, secondary = os.openpty()
    command = [sys.executable, "-m", "hpctrain", "convert", "a.npy", "--to", "npy", "--out", "o"]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=secondary, env=environment, text=True
    )
    out, _ = process.communicate(timeout=60)
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()
    os.close(primary)
    assert process.returncode == 0
    assert "writing" in shown
    assert "━" in shown
    assert out.startswith("o: 5 files")
