import hashlib
import os
import re

import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.errors import ConfigError
from hpctrain.registry import SAMPLES, resolve
from hpctrain.samples.mantle import write_sample

SMALL = {"steps": 3, "size": (8, 16, 32)}


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "mantle"
    write_sample(out, **SMALL)
    return out


def copy_of(sample_dir, tmp_path):
    out = tmp_path / "mantle"
    out.mkdir()
    for path in sample_dir.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(path, name):
    with netcdf_file(path, mmap=False) as file:
        return file.variables[name][:].astype(float)


def anomaly(path):
    return read(path, "temperature anomaly")


def test_write_sample__is_registered():
    assert resolve(SAMPLES["mantle"]) is write_sample


def test_write_sample__files_and_card(sample_dir):
    names = ["DATA_CARD.md", "mantle001.nc", "mantle002.nc", "mantle003.nc"]
    assert sorted(os.listdir(sample_dir)) == names
    card = (sample_dir / "DATA_CARD.md").read_text()
    for text in ("hpctrain", "Rayleigh number: 100000.0", "seed: 0", "not spherical", "vx [m/s]"):
        assert text in card
    listed = dict(reversed(pair) for pair in re.findall(r"^(\w{64})  (\S+)$", card, re.M))
    for name in names[1:]:
        assert hashlib.sha256((sample_dir / name).read_bytes()).hexdigest() == listed[name]


def test_write_sample__fields_are_convection(sample_dir):
    temperature = read(sample_dir / "mantle001.nc", "temperature")
    assert temperature.shape == (16, 8, 32)
    shells = temperature.mean((0, 2))
    assert shells[0] > shells[-1] + 500
    assert 200 < temperature.min() < temperature.max() < 3900


def test_write_sample__steps_differ_but_belong_together(sample_dir):
    steps = [anomaly(sample_dir / f"mantle{n:03d}.nc").ravel() for n in (1, 2, 3)]
    for a, b in zip(steps[:-1], steps[1:], strict=True):
        assert 0.5 < np.corrcoef(a, b)[0, 1] < 0.9999


def test_write_sample__repeats_by_seed(sample_dir, tmp_path):
    write_sample(tmp_path / "again", **SMALL)
    write_sample(tmp_path / "other", **SMALL, seed=1)
    assert contents(tmp_path / "again") == contents(sample_dir)
    name = "mantle001.nc"
    assert not np.array_equal(anomaly(tmp_path / "other" / name), anomaly(sample_dir / name))


def test_write_sample__complete_folder_is_not_computed_again(sample_dir):
    times = {p: p.stat().st_mtime_ns for p in sample_dir.iterdir()}
    lines = []
    files = write_sample(sample_dir, **SMALL, progress=lines.append)
    assert [f.name for f in files] == ["mantle001.nc", "mantle002.nc", "mantle003.nc"]
    assert lines == [f"{sample_dir}: all 3 files are there, unaltered"]
    assert times == {p: p.stat().st_mtime_ns for p in sample_dir.iterdir()}


def test_write_sample__finishes_an_interrupted_folder(sample_dir, tmp_path):
    out = copy_of(sample_dir, tmp_path)
    (out / "DATA_CARD.md").unlink()
    (out / "mantle002.nc").unlink()
    (out / ".partial-killed").mkdir()
    kept = (out / "mantle001.nc").stat().st_mtime_ns
    write_sample(out, **SMALL)
    (out / ".partial-killed").rmdir()
    assert contents(out) == contents(sample_dir)
    assert (out / "mantle001.nc").stat().st_mtime_ns == kept


def test_write_sample__refuses_foreign_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="holds 'thesis.tex', which is not of this sample"):
        write_sample(tmp_path, **SMALL)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_write_sample__refuses_a_sample_of_other_parameters(sample_dir):
    before = contents(sample_dir)
    with pytest.raises(ConfigError, match="sample of other parameters"):
        write_sample(sample_dir, **SMALL, seed=5)
    assert contents(sample_dir) == before


def test_write_sample__names_an_altered_file(sample_dir, tmp_path):
    out = copy_of(sample_dir, tmp_path)
    (out / "mantle002.nc").write_bytes(b"CDF")
    with pytest.raises(ConfigError, match="mantle002.nc: is not the file that DATA_CARD.md lists"):
        write_sample(out, **SMALL)


def test_write_sample__keeps_a_different_file_without_card(sample_dir, tmp_path):
    out = tmp_path / "mantle"
    out.mkdir()
    (out / "mantle002.nc").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="differs from what was made"):
        write_sample(out, **SMALL)
    assert contents(out) == {"mantle002.nc": b"mine"}


def test_write_sample__refuses_a_file_as_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        write_sample(tmp_path / "out", **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; give at least 1"),
        ({"size": (8, 15, 32)}, "each even and at least 8"),
        ({"size": (4, 16, 32)}, "each even and at least 8"),
        ({"seed": -1}, "seed is -1"),
        ({"rayleigh": 1e9}, "rayleigh is 1e\\+09; give 1e4 to 1e7"),
    ],
)
def test_write_sample__refuses_bad_parameters(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_sample(tmp_path / "out", **{**SMALL, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_write_sample__default_size_has_plumes_and_no_grid_noise(tmp_path):
    files = write_sample(tmp_path / "out", steps=3)
    steps = [anomaly(path) for path in files]
    for a, b in zip(steps[:-1], steps[1:], strict=True):
        assert 0.7 < np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.97
    # Hot plumes and cold slabs reach the middle of the layer.
    middle = steps[-1][:, 16]
    assert middle.max() > 300
    assert middle.min() < -600
    power = (np.abs(np.fft.rfft(middle, axis=1)) ** 2).mean(0)
    assert power[-4:].max() < 1e-4 * power[1:9].mean()
