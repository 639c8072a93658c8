import re

import h5py
import numpy as np
import pytest

from hpctrain.errors import ConfigError
from hpctrain.registry import SAMPLES, resolve
from hpctrain.samples.cosmology import Cosmology
from hpctrain.samples.initial import Grid
from hpctrain.samples.nbody import as_int16, write_sample
from hpctrain.samples.particle_mesh import simulate
from tests.requires import SHARED_DATA, requires

SMALL = {"universes": 3, "size": 16, "box": 24.0}
JOB = "cosmoUniverse_sample_4parE/00000000"


@pytest.fixture(scope="module")
def sample_dir(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "nbody"
    write_sample(out, **SMALL)
    return out


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def bands_of_power(counts, length, edges):
    """Power spectrum of counts, in bands of wave number in units of the box's own."""
    n = len(counts)
    number = np.fft.fftfreq(n) * n
    window = np.sinc(number / n)
    window = window[:, None, None] * window[None, :, None] * window
    modes = np.fft.fftn(counts / counts.mean() - 1) / window / n**3
    k = np.sqrt(number[:, None, None] ** 2 + number[None, :, None] ** 2 + number**2)
    power = np.abs(modes) ** 2 * length**3
    among = [(k >= low) & (k < high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return np.array([power[m].mean() for m in among]), [k[m] for m in among]


def now(cosmology, grid, seed):
    """Counts at redshift 0."""
    return next(iter(simulate(cosmology, grid, seed, [0.0])))


def test_write_sample__is_registered():
    assert resolve(SAMPLES["nbody"]) is write_sample


def test_write_sample__layout(sample_dir):
    paths = sorted((sample_dir / JOB).iterdir())
    assert len(paths) == 3
    for path in paths:
        seed = int(re.fullmatch(r"univ_ics_2019-03_a(\d{9})\.hdf5", path.name)[1])
        with h5py.File(path) as file:
            assert set(file) == {"full", "namePar", "physPar", "redshifts", "unitPar"}
            assert (file["full"].shape, file["full"].dtype) == ((16, 16, 16, 4), np.int16)
            assert list(file["redshifts"]) == [0, 0.5, 1.5, 3]
            assert list(file["namePar"]) == [b"Omega_m", b"sigma_8", b"N_spec", b"H_0"]
            assert file.attrs["dataset_tag"] == b"4parE"
            assert file.attrs["seed9"] == seed
            assert re.fullmatch(rb"4parE_00000000-[012]", file.attrs["universe_tag"])
            physical = (1 + file["unitPar"][:]) * [0.3, 0.8, 0.96, 70]
            np.testing.assert_allclose(file["physPar"][:], physical)


def test_write_sample__counts_are_one_on_average_and_cluster_with_time(sample_dir):
    for path in (sample_dir / JOB).iterdir():
        with h5py.File(path) as file:
            full = file["full"][:].astype(int)
        assert (full.sum((0, 1, 2)) == 16**3).all()
        assert (full >= 0).all()
        variances = full.var((0, 1, 2))
        assert (np.diff(variances) < 0).all()  # from redshift 0 back to 3


def test_write_sample__parameters_are_spread_over_their_ranges(sample_dir):
    units = []
    for path in (sample_dir / JOB).iterdir():
        with h5py.File(path) as file:
            units.append(file["unitPar"][:] / [0.3, 0.3, 0.1, 0.2])
    for column in np.sort(units, axis=0).T:
        # One in each third.
        assert (np.floor((column + 1) * 1.5) == [0, 1, 2]).all()


def test_write_sample__card(sample_dir):
    card = (sample_dir / "DATA_CARD.md").read_text()
    for text in ("sample nbody", "seed: 0", "box: 24 Mpc/h", "km/s/Mpc", "departures", "CC0"):
        assert text in card
    assert len(re.findall(r"^\w{64}  cosmoUniverse_sample_4parE/\S+\.hdf5$", card, re.M)) == 3


def test_write_sample__repeats_by_seed(sample_dir, tmp_path):
    write_sample(tmp_path / "again", **SMALL)
    assert contents(tmp_path / "again") == contents(sample_dir)
    write_sample(tmp_path / "other", **SMALL, seed=1)
    assert not set(contents(tmp_path / "other")) & set(contents(sample_dir)) - {"DATA_CARD.md"}


def test_write_sample__complete_folder_is_not_computed_again(sample_dir):
    lines = []
    files = write_sample(sample_dir, **SMALL, progress=lines.append)
    assert lines == [f"{sample_dir}: all 3 files are there, unaltered"]
    assert all(path.is_file() for path in files)


def test_write_sample__finishes_an_interrupted_folder(sample_dir, tmp_path):
    out = tmp_path / "nbody"
    kept = sorted((sample_dir / JOB).iterdir())[0]
    (out / JOB).mkdir(parents=True)
    (out / JOB / kept.name).write_bytes(kept.read_bytes())
    write_sample(out, **SMALL)
    assert contents(out) == contents(sample_dir)


def test_write_sample__refuses_foreign_files_below(tmp_path):
    (tmp_path / JOB).mkdir(parents=True)
    (tmp_path / JOB / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="holds '.*/thesis.tex', which is not of this sample"):
        write_sample(tmp_path, **SMALL)
    assert contents(tmp_path) == {f"{JOB}/thesis.tex": b"precious"}


def test_write_sample__interrupt_leaves_nothing(tmp_path):
    def interrupt(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "out", **SMALL, progress=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"universes": 0}, "universes is 0; give 1 to 10000"),
        ({"size": 15}, "size is 15; give an even number, 8 to 256"),
        ({"size": 6}, "size is 6"),
        ({"box": 1.0}, "give 0.25 to 4 a cell, so 4 to 64"),
        ({"box": 65.0}, "give 0.25 to 4 a cell"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_write_sample__refuses_bad_parameters(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_sample(tmp_path / "out", **{**SMALL, **options})
    assert not (tmp_path / "out").exists()


def test_as_int16__refuses_to_overflow():
    assert as_int16(np.array([32767])).dtype == np.int16
    with pytest.raises(ConfigError, match="a cell holds 32768 particles"):
        as_int16(np.array([32768]))


def test_counts__more_sigma_8_more_variance():
    grid = Grid(24, 48.0)
    variances = [
        now(Cosmology(0.3, sigma_8, 0.96, 70.0), grid, seed=2).var() for sigma_8 in (0.6, 0.8, 1.0)
    ]
    assert variances[1] > 1.2 * variances[0]
    assert variances[2] > 1.2 * variances[1]


def check_large_scales(grid, edges, seeds):
    """Power at redshift 0 over linear power, band by band."""
    cosmology = Cosmology(0.3, 0.8, 0.96, 70.0)
    found = 0.0
    for seed in range(seeds):
        power, waves = bands_of_power(now(cosmology, grid, seed), grid.length, edges)
        found = found + power / seeds
    wanted = [cosmology.power(2 * np.pi / grid.length * k).mean() for k in waves]
    return found / wanted


def test_counts__large_scales_have_linear_power():
    ratio = check_large_scales(Grid(32, 128.0), [0.5, 3.5], seeds=4)
    assert 0.85 < ratio[0] < 1.15


@pytest.mark.slow
def test_counts__lowest_decade_has_linear_power():
    ratio = check_large_scales(Grid(64, 512.0), [0.5, 3.5, 6.0, 8.0, 10.0], seeds=4)
    assert ((ratio > 0.85) & (ratio < 1.15)).all(), ratio


@pytest.mark.slow
@requires(shared_data=True)
def test_counts__like_a_simulation_with_direct_forces():
    """A real box, Abacus: 64^3 particles, 32 Mpc/h, redshift 0."""
    positions = np.load(SHARED_DATA / "cosmology" / "abacus_mini_N64_L32_z0_pos.npy")
    x, y, z = (positions.T / 32 * 64).astype(int) % 64
    real = np.bincount((x * 64 + y) * 64 + z, minlength=64**3).reshape((64,) * 3)
    ours = now(Cosmology(0.315192, 0.8076, 0.965, 67.36), Grid(64, 32.0), seed=2)
    # The mesh is blind below half a cell: nearly as many empty cells, but no haloes as dense.
    assert (ours == 0).mean() == pytest.approx((real == 0).mean(), abs=0.04)
    assert real.max() / 4 < ours.max() < real.max()
    assert 0.3 < ours.var() / real.var() < 1
    edges = [1.5, 3.5, 6.5, 10.5]
    ratio = bands_of_power(ours, 32.0, edges)[0] / bands_of_power(real, 32.0, edges)[0]
    assert ((ratio > 0.5) & (ratio < 2)).all(), ratio
