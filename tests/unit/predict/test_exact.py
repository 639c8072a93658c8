"""Tiles give what the network gives of the whole field at once, padded here by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpctrain.data import FieldDataset, Scales
from hpctrain.index import read_index
from hpctrain.models import crop_to
from hpctrain.predict.trained import load_trained, open_job, read_checkpoint
from hpctrain.tasks.super_resolution.networks import halo_of
from hpctrain.train.checkpoint import load
from tests.unit.data.builders import NAMES, axes_of, random_values, write_netcdf3, write_spheres
from tests.unit.predict.made import SMALL, make_run, values_of

UNET = {"kind": "unet", "channels": 3, "levels": 1, "norm": "batch"}
SR = {"kind": "srsgan", "channels": SMALL}
BOX = {"geometry": "box", "crop": [4, 4, 4], "normalization": "standard"}


def write_boxes(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        for i in range(2):
            np.save(folder / f"{name}{i}.npy", rng.standard_normal(shape).astype(np.float32) + 3)


def field_run(folder: Path, **generator: Any) -> Path:
    write_boxes(folder, {"in": (2, 18, 13, 8), "out": (1, 18, 13, 8)})
    data = {**BOX, "inputs": ["in*.npy"], "targets": ["out*.npy"]}
    train = {"task": "field_to_field", "generator": generator_of(generator)}
    return make_run(folder, data, train)


def generator_of(options: dict[str, Any]) -> dict[str, Any]:
    """The U-Net with other options; None leaves one out."""
    return {k: v for k, v in {**UNET, **options}.items() if v is not None}


def whole(run: Path, field: np.ndarray, pads: list[tuple[str, int, int]], factor: int = 1) -> Any:
    """The network on the whole field, padded along each axis by (mode, cells before, after)."""
    settings = open_job(run)[1]
    trained = load_trained(settings, *read_checkpoint(run, None), "auto", 0)
    scales = Scales.from_dict(load(run / "checkpoints" / "state_1.pt")["task"]["scales"])
    x = scales.for_inputs.normalize(field)
    for axis, (mode, before, after) in enumerate(pads, start=1):
        width = [(0, 0)] * 4
        width[axis] = (before, after)
        x = np.pad(x, width, mode=mode)
    with torch.no_grad():
        y = trained.network(torch.from_numpy(x)[None])
    more = [after - before for _, before, after in pads]
    inner = [factor * (n + m) for n, m in zip(field.shape[1:], more, strict=True)]
    y = crop_to(y, inner)[0]
    cut = tuple(slice(0, factor * n) for n in field.shape[1:])
    return scales.denormalize(y[(slice(None), *cut)]).numpy()


@pytest.mark.parametrize(
    ("tile", "block", "padding"),
    [
        ((), "plain", False),
        ((6, 4, 8), "plain", False),
        ((), "residual", True),
        ((8, 6, 4), "dense", True),
    ],
)
def test_unet__tiles_equal_the_whole(
    tmp_path: Path, tile: tuple[int, ...], block: str, padding: bool
) -> None:
    run = field_run(tmp_path / "data", padding=padding, block=block)
    field = np.load(tmp_path / "data" / "in1.npy")
    # 13 cells of a periodic axis are no multiple of the network's stride of 2: one more is read
    expected = whole(run, field, [("wrap", 12, 12), ("wrap", 12, 13), ("wrap", 12, 12)])
    found = values_of(run, tmp_path, tile=tile)
    assert found.shape == (1, 18, 13, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.std() > 0.02


@pytest.mark.parametrize("tile", [(), (3,), (5, 4, 7)])
def test_super_resolution__of_low_resolution_files_equals_the_whole(
    tmp_path: Path, tile: tuple[int, ...]
) -> None:
    write_boxes(tmp_path / "data", {"hr": (2, 16, 20, 24), "lr": (2, 8, 10, 12)})
    data = {**BOX, "inputs": ["lr*.npy"], "targets": ["hr*.npy"]}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
    run = make_run(tmp_path / "data", data, train)
    field = np.load(tmp_path / "data" / "lr1.npy")
    expected = whole(run, field, [("wrap", 2, 2)] * 3, factor=2)
    found = values_of(run, tmp_path, tile=tile, has_noise=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tile", [(3,), (2, 4, 5)])
def test_sphere__edges_as_in_the_training_and_longitude_without_a_seam(
    tmp_path: Path, tile: tuple[int, ...]
) -> None:
    fields = write_spheres(tmp_path / "data", count=2, shape=(8, 12, 16))
    data = {"targets": ["m*.nc"], "crop": [4, 4, 4], "variables": list(NAMES)}
    data["augment"] = {"roll_longitude": False}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
    run = make_run(tmp_path / "data", data, train)
    coarse = fields[1].reshape(4, 4, 2, 6, 2, 8, 2).mean((2, 4, 6))
    pads = [("edge", 2, 2), ("symmetric", 2, 2), ("wrap", 2, 2)]
    expected = whole(run, coarse, pads, factor=2)
    found = values_of(run, tmp_path, tile=tile, has_noise=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("falls", [False, True], ids=["eastward", "westward"])
def test_sphere__tiles_stand_in_the_frames_that_samples_have_in_the_training(
    tmp_path: Path, falls: bool
) -> None:
    (tmp_path / "data").mkdir()
    axes = axes_of((8, 12, 16))
    if falls:
        axes["lon"] = axes["lon"][::-1]
    for i in range(2):
        write_netcdf3(tmp_path / "data" / f"m{i}.nc", random_values((8, 12, 16), seed=i), axes=axes)
    data = {"targets": ["m*.nc"], "crop": [4, 6, 2], "variables": list(NAMES)}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
    run = make_run(tmp_path / "data", data, train)
    job, settings = open_job(run)
    trained = load_trained(settings, *read_checkpoint(run, None), "auto", 0)
    samples = FieldDataset(
        job.data, read_index(run), "validation", 2, halo_of(settings, job.data.crop), 0
    )
    samples.scales = trained.scales
    parts = []
    for i in range(len(samples)):
        x, y = np.empty(samples.input_shape, "f4"), np.empty(samples.target_shape, "f4")
        samples.read_into(i, 0, x, y)
        with torch.no_grad():
            made = crop_to(trained.network(torch.from_numpy(x)[None]), y.shape[1:])
        part = trained.scales.denormalize(made)[0].numpy()
        samples.turn_back(i, part)
        parts.append(part)
    assert [samples.anchors[i][2] for i in range(len(parts))] == [0, 2, 4, 6]
    found = values_of(run, tmp_path, tile=(4, 6, 2), overlap=0, has_noise=False)
    np.testing.assert_allclose(found, np.concatenate(parts, 3), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("overlap", [None, 2])
def test_noise__stands_in_place_whatever_the_tiles(tmp_path: Path, overlap: int | None) -> None:
    write_boxes(tmp_path / "data", {"hr": (2, 16, 20, 24)})
    data = {**BOX, "targets": ["hr*.npy"]}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
    run = make_run(tmp_path / "data", data, train)
    once = values_of(run, tmp_path)
    tiled = values_of(run, tmp_path, tile=(5, 4, 6), overlap=overlap)
    np.testing.assert_allclose(tiled, once, rtol=1e-5, atol=1e-5)
    silent = values_of(run, tmp_path, has_noise=False)
    other = values_of(run, tmp_path, seed=1)
    assert np.abs(once - silent).std() > 0.01
    assert np.abs(once - other).std() > 0.01
