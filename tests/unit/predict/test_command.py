"""What predictions hold beside their numbers, which weights and files they take, and what fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import netcdf_file

from hpctrain.errors import CheckpointError, ConfigError, DataError
from hpctrain.provenance import read as read_stamp
from hpctrain.provenance.run import file_digest
from hpctrain.train.checkpoint import CheckpointFolder, load
from tests.unit.data.builders import NAMES, axes_of, random_values, write_netcdf3, write_spheres
from tests.unit.predict.made import SMALL, make_run, run_predict, values_of
from tests.unit.predict.test_exact import BOX, SR, UNET, field_run, write_boxes

TRAIN = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
SPHERE = {"targets": ["m*.nc"], "crop": [4, 4, 4], "variables": list(NAMES)}


@pytest.fixture
def mantle(tmp_path: Path) -> Path:
    write_spheres(tmp_path / "data", count=2, shape=(8, 12, 16))
    return make_run(tmp_path / "data", SPHERE, TRAIN)


@pytest.fixture
def sharpened(tmp_path: Path) -> Path:
    """A run on given low-resolution files in a box."""
    write_boxes(tmp_path / "data", {"hr": (2, 16, 20, 24), "lr": (2, 8, 10, 12)})
    return make_run(
        tmp_path / "data", {**BOX, "inputs": ["lr*.npy"], "targets": ["hr*.npy"]}, TRAIN
    )


@pytest.mark.parametrize("suffix", [".npy", ".nc", ".zarr"])
def test_predict__file_says_where_it_is_from_also_elsewhere(
    mantle: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "out" / f"a{suffix}"
    run_predict(mantle, out)
    found = read_stamp(out)
    assert found.is_intact is (None if suffix == ".zarr" else True)
    elsewhere = tmp_path / "elsewhere" / out.name
    elsewhere.parent.mkdir()
    (shutil.copytree if suffix == ".zarr" else shutil.copyfile)(out, elsewhere)
    for stamp in (found.stamp, read_stamp(elsewhere).stamp):
        assert (stamp.product, stamp.run_name, stamp.run_dir) == ("prediction", "run", str(mantle))
        assert (stamp.checkpoint, stamp.epoch, stamp.global_step) == ("state_1.pt", 1, 5)
        assert stamp.checkpoint_digest == file_digest(mantle / "checkpoints" / "state_1.pt")
        assert stamp.index_digest == file_digest(mantle / "index.csv")
        assert stamp.config_digest == file_digest(mantle / "config.yaml")
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]


def test_predict__netcdf_lies_on_the_target_grid_in_its_units(mantle: Path, tmp_path: Path) -> None:
    run_predict(mantle, tmp_path / "a.nc")
    axes = axes_of((8, 12, 16))
    with netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        for name, x in axes.items():
            np.testing.assert_allclose(file.variables[name][:], x)
        assert file.variables["lon"].units == b"degrees_east"
        assert [file.variables[n].units for n in NAMES] == [b"K", *[b"m/s"] * 3]
        assert file.source == b"m1.nc"
        assert b"seed 0, member 0" in file.hpctrain_noise


def test_predict__low_resolution_input_gets_coordinates_twice_as_fine(
    mantle: Path, tmp_path: Path
) -> None:
    coarse = write_netcdf3(tmp_path / "given.nc", random_values((4, 6, 8)))
    run_predict(mantle, tmp_path / "a.nc", inputs=[str(coarse)])
    fine = axes_of((8, 12, 16))
    with netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        assert file.variables["vx"].shape == (8, 12, 16)
        np.testing.assert_allclose(file.variables["lat"][:], fine["lat"])
        lon, r = file.variables["lon"][:], file.variables["r"][:]
        np.testing.assert_allclose(lon, fine["lon"] - 11.25)  # half a fine cell: centres stay
        np.testing.assert_allclose(np.diff(r), (6300 - 3500) / 6)
        np.testing.assert_allclose(r.reshape(4, 2).mean(1), np.linspace(3500, 6300, 4))


def test_predict__coarsened_input_is_that_of_the_training(mantle: Path, tmp_path: Path) -> None:
    own = values_of(mantle, tmp_path)
    named = values_of(mantle, tmp_path, inputs=[str(mantle.parent / "m1.nc")], coarsen=True)
    assert np.array_equal(own, named)


def test_predict__fine_file_without_coarsen_is_warned_of(
    mantle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_predict(mantle, tmp_path / "a.npy", inputs=[str(mantle.parent / "m1.nc")])
    assert "--coarsen" in capfd.readouterr().err


def test_predict__globe_has_no_seam_although_each_tile_has_its_own_frame(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    lat, lon = np.meshgrid(np.arange(24) * np.pi / 24, np.arange(64) * np.pi / 32, indexing="ij")
    for i in range(2):
        smooth = {
            name: np.broadcast_to(np.sin(lat) * np.cos(lon + k + i), (8, 24, 64)).astype("f4")
            for k, name in enumerate(NAMES)
        }
        write_netcdf3(tmp_path / "data" / f"m{i}.nc", smooth)
    run = make_run(tmp_path / "data", {**SPHERE, "crop": [4, 8, 8]}, TRAIN)

    def jumps(**options: Any) -> np.ndarray:
        values = values_of(run, tmp_path, has_noise=False, **options)
        steps = np.abs(np.roll(values, -1, 3) - values)[1:3].max((0, 1, 2))
        return steps / np.median(steps)

    cut = jumps(overlap=0)
    assert cut.max() > 3, "frames make no seam, so that nothing is tested"
    assert jumps().max() < 0.6 * cut.max()
    assert jumps(overlap=4).max() < 0.35 * cut.max()


def test_predict__tiles_of_a_circle_that_the_crop_covers_are_blended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_spheres(tmp_path / "data", count=2, shape=(8, 12, 16))
    run = make_run(tmp_path / "data", {**SPHERE, "crop": [4, 4, 8]}, TRAIN)
    once = values_of(run, tmp_path, has_noise=False)
    assert "the same as in one piece" in capfd.readouterr().err
    cut = values_of(run, tmp_path, has_noise=False, tile=(4, 4, 4))
    assert "velocities stand in the frame of each tile" in capfd.readouterr().err
    assert np.abs(cut - once).max() > 1e-3, "frames make no difference, so that nothing is tested"


@pytest.mark.parametrize("axis", ["lat", "r"])
def test_predict__axis_that_runs_the_other_way_is_refused(
    mantle: Path, tmp_path: Path, axis: str
) -> None:
    axes = axes_of((4, 6, 8))
    axes[axis] = axes[axis][::-1]
    given = write_netcdf3(tmp_path / "given.nc", random_values((4, 6, 8)), axes=axes)
    with pytest.raises(DataError, match=f"{axis} (rises|falls), and in the files of the training"):
        run_predict(mantle, tmp_path / "a.nc", inputs=[str(given)])
    assert not (tmp_path / "a.nc").exists()


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_predict__folder_of_something_else_is_never_replaced(
    mantle: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    (tmp_path / "out" / name / "mine.txt").write_text("mine")
    kind = "zarr" if name.endswith("zarr") else "netcdf"
    (tmp_path / "out" / name).rename(tmp_path / "out" / name.replace("a", "m1", 1))
    with pytest.raises(ConfigError, match="is a folder of something else"):
        run_predict(mantle, tmp_path / "out", kind=kind, overwrite=True)
    assert (tmp_path / "out" / name.replace("a", "m1", 1) / "mine.txt").read_text() == "mine"


def test_predict__overlap_of_more_than_half_a_tile_is_refused(mantle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--overlap: 3 of a tile of 4 cells; at most 2"):
        run_predict(mantle, tmp_path / "a.nc", tile=(4,), overlap=3)


def test_predict__network_that_sees_the_whole_tile_is_blended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = field_run(tmp_path / "data", norm="instance")
    values = values_of(run, tmp_path)
    told = capfd.readouterr().err
    assert "blended over 2 cells of x, 2 of y, 2 of z" in told
    assert "each of its cells sees the whole tile" in told
    assert values.shape == (1, 18, 13, 8)
    assert np.isfinite(values).all()


def test_predict__planes_through_a_planar_network(tmp_path: Path) -> None:
    write_boxes(tmp_path / "data", {"in": (1, 3, 16, 12), "out": (1, 3, 16, 12)})
    data = {**BOX, "crop": [1, 8, 8], "inputs": ["in*.npy"], "targets": ["out*.npy"]}
    generator = {**UNET, "dims": 2}
    run = make_run(tmp_path / "data", data, {"task": "field_to_field", "generator": generator})
    whole = values_of(run, tmp_path)
    tiled = values_of(run, tmp_path, tile=(2, 4, 6))
    assert whole.shape == (1, 3, 16, 12)
    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=1e-5)


def test_predict__own_network_of_unknown_reach_is_blended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Module):\n"
        "    def __init__(self, inputs, targets):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv3d(inputs, targets, 3, padding=1)\n\n"
        "    def forward(self, x):\n"
        "        return self.conv(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    run = field_run(tmp_path / "data", kind="own_net.Own", channels=None, levels=None, norm=None)
    assert np.isfinite(values_of(run, tmp_path)).all()
    assert "no method extent" in capfd.readouterr().err


def test_predict__styles_come_from_the_table_or_the_command_line(tmp_path: Path) -> None:
    write_boxes(tmp_path / "data", {"hr": (2, 16, 16, 16)})
    (tmp_path / "data" / "styles.csv").write_text("file,a\nhr0.npy,0.2\nhr1.npy,0.7\n")
    data = {**BOX, "targets": ["hr*.npy"], "styles": "styles.csv"}
    generator = {"kind": "styled", "channels": SMALL}
    run = make_run(tmp_path / "data", data, {**TRAIN, "generator": generator}, styles=1)
    own = values_of(run, tmp_path)
    assert np.array_equal(values_of(run, tmp_path, style=(0.7,)), own)
    assert not np.array_equal(values_of(run, tmp_path, style=(0.2,)), own)
    tiled = values_of(run, tmp_path, tile=(3,))
    np.testing.assert_allclose(tiled, own, rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigError, match="found 2 numbers; the generator takes 1: a"):
        values_of(run, tmp_path, style=(0.2, 0.3))
    np.save(tmp_path / "new.npy", np.zeros((2, 8, 8, 8), np.float32))
    with pytest.raises(ConfigError, match="has no line for .*new.npy; add it, or give --style A"):
        values_of(run, tmp_path, inputs=[str(tmp_path / "new.npy")])


def test_predict__averaged_weights_where_validations_judge_them(tmp_path: Path) -> None:
    write_boxes(tmp_path / "data", {"in": (1, 8, 8, 8), "out": (1, 8, 8, 8)})
    data = {**BOX, "inputs": ["in*.npy"], "targets": ["out*.npy"]}
    train = {"task": "field_to_field", "generator": UNET, "ema": {"models": ["generator"]}}
    run = make_run(tmp_path / "data", data, train)
    last = values_of(run, tmp_path)
    with pytest.raises(CheckpointError, match="holds no average of weights"):
        values_of(run, tmp_path, weights="ema")
    folder = CheckpointFolder(run / "checkpoints", keep_last=2)
    state = load(run / "checkpoints" / "state_1.pt")
    averages = {k: v.float() * 0.5 for k, v in state["models"]["generator"].items()}
    state["ema"] = {"num_steps": 1, "models": {"generator": averages}}
    folder.save(state, 2, 0)
    assert np.array_equal(values_of(run, tmp_path, weights="last"), last)
    averaged = values_of(run, tmp_path)
    assert not np.array_equal(averaged, last)
    assert np.array_equal(values_of(run, tmp_path, weights="ema"), averaged)
    assert np.array_equal(values_of(run, tmp_path, checkpoint="state_1.pt"), last)
    with pytest.raises(CheckpointError, match=r"choose from state_1.pt, state_2.pt"):
        values_of(run, tmp_path, checkpoint="state_9.pt")


def test_predict__members_differ_and_one_file_alone_is_as_among_many(
    sharpened: Path, tmp_path: Path
) -> None:
    files = str(sharpened.parent / "lr*.npy")
    done = run_predict(sharpened, tmp_path / "many", inputs=[files], members=2)
    assert [p.name for p in done.paths] == [
        f"lr{i}-member-{m}.npy" for i in range(2) for m in range(2)
    ]
    first, second = (np.load(tmp_path / "many" / f"lr1-member-{m}.npy") for m in range(2))
    assert np.abs(first - second).std() > 0.01
    assert np.array_equal(values_of(sharpened, tmp_path), first)


def test_predict__half_precision_is_near(sharpened: Path, tmp_path: Path) -> None:
    full = values_of(sharpened, tmp_path)
    half = values_of(sharpened, tmp_path, precision="bfloat16")
    assert 0 < np.abs(half - full).max() < 0.05 * np.abs(full).max()
    assert np.array_equal(values_of(sharpened, tmp_path, precision="run"), full)


def test_predict__failure_leaves_nothing_and_keeps_what_was_there(
    sharpened: Path, tmp_path: Path
) -> None:
    bad = np.load(sharpened.parent / "lr1.npy")
    bad[1, 7, 9, 11] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"bad.npy: .* is nan at index \[x 7, y 9, z 11\]"):
        run_predict(sharpened, out / "a.nc", inputs=[str(tmp_path / "bad.npy")], tile=(4,))
    assert list(out.iterdir()) == []
    run_predict(sharpened, out / "a.nc")
    before = (out / "a.nc").read_bytes()
    with pytest.raises(ConfigError, match="is there already; give another place, or --overwrite"):
        run_predict(sharpened, out / "a.nc")
    with pytest.raises(DataError):
        run_predict(sharpened, out / "a.nc", inputs=[str(tmp_path / "bad.npy")], overwrite=True)
    assert (out / "a.nc").read_bytes() == before
    assert [p.name for p in out.iterdir()] == ["a.nc"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"inputs": ["lr*.npy", "lr0.npy"]}, None),
        ({"inputs": ["nothing*.npy"]}, "nothing.*no such file, and no file of this pattern"),
        ({"inputs": ["lr0.npy"], "coarsen": True}, "--coarsen: the run was trained on given"),
        ({"coarsen": True}, "--coarsen: goes with --input"),
        ({"members": 2, "has_noise": False}, "--members: 2 predictions would all be alike"),
        ({"style": (1.0,)}, "--style: found 1 numbers; the generator takes none"),
        ({"out": "a.tiff"}, "suffix that is not known; choose .npy, .nc, .zarr"),
        ({"out": "a.nc", "kind": "npy"}, "--format: npy, but --out is"),
        ({"out": "lr0.npy", "inputs": ["lr0.npy"]}, "is an input itself"),
        ({"out": "a.nc", "members": 2}, "is one file, and there are 2 predictions"),
        ({"device": "cuda"}, "torch finds no GPU"),
        ({"inputs": ["three.npy"]}, "has 3 channels .* but the network was trained on 2"),
    ],
)
def test_predict__what_does_not_fit_is_told(
    sharpened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any], text: str | None,
) -> None:  # fmt: skip
    from hpctrain.predict.command import predict
    from hpctrain.predict.options import Options

    if options.get("device") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.chdir(sharpened.parent)
    np.save("three.npy", np.zeros((3, 8, 8, 8), np.float32))
    given = {"out": "out", "device": "cpu", **options}
    given["out"] = Path(given["out"])
    if text is None:
        assert predict(sharpened, Options(**given)) is not None
        return
    with pytest.raises(ConfigError, match=text):
        predict(sharpened, Options(**given))


def test_predict__tile_must_fit_the_strides(tmp_path: Path) -> None:
    run = field_run(tmp_path / "data")
    with pytest.raises(ConfigError, match="5 is no multiple of 2, .* choose 4 or 6"):
        values_of(run, tmp_path, tile=(5,))


def test_predict__run_without_checkpoint_is_told(sharpened: Path, tmp_path: Path) -> None:
    shutil.rmtree(sharpened / "checkpoints")
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        values_of(sharpened, tmp_path)


def test_predict__little_memory_is_enough_where_the_least_halo_is_the_whole_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = field_run(tmp_path / "data")
    small = values_of(run, tmp_path, memory_mb=1)
    assert "18 x 13 x 8, on cpu" in capfd.readouterr().err
    np.testing.assert_allclose(small, values_of(run, tmp_path), rtol=1e-5, atol=1e-5)


def test_predict__too_little_memory_for_a_wide_halo_is_told_and_blended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = field_run(tmp_path / "data", padding=True)
    values = values_of(run, tmp_path, memory_mb=1)
    told = capfd.readouterr().err
    assert "need more memory than there is; see --memory-mb" in told
    assert "tiles of 4 x 4 x 4 input cells, with 0 around each" in told
    assert np.isfinite(values).all()


def test_predict__edges_that_the_training_kept_off_are_predicted_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_boxes(tmp_path / "data", {"hr": (2, 16, 20, 24)})
    data = {**BOX, "targets": ["hr*.npy"], "padding": ["none", "none", "periodic"]}
    run = make_run(tmp_path / "data", data, TRAIN)
    whole = values_of(run, tmp_path)
    assert "so the outer 2 x 2 x 2 cells are less sure" in capfd.readouterr().err
    np.testing.assert_allclose(values_of(run, tmp_path, tile=(3,)), whole, rtol=1e-5, atol=1e-5)
