"""The same crop of both modalities shows the same part of the scene, each at its own resolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hpctrain.data.pairs import PairDataset
from hpctrain.data.pairs.branch import MEAN, STD
from hpctrain.data.pairs.resample import blur, resample
from tests.unit.data.pairs import builders
from tests.unit.data.pairs.builders import PLAIN, SIZES, npy, pairs, places_picture, png, shares

VIEWS = {
    **PLAIN,
    "count": 2,
    "scale": (0.1, 1.0),
    "ratio": (0.5, 2.0),
    "flip": 0.5,
    "flip_vertical": 0.5,
    "local_count": 2,
    "local_scale": (0.05, 0.2),
}
LOCAL = {"rgb": {"local_crop": (20, 20)}, "ir": {"local_crop": (10, 10)}}
THERMAL = {"offset": 0, "scale": 1}


@pytest.mark.parametrize("rotation", [0, 180])
@pytest.mark.parametrize("augment_on", ["workers", "device"])
@pytest.mark.parametrize("axis", [0, 1])
def test_crops__show_the_same_points_within_a_pixel(tmp_path, rotation, augment_on, axis) -> None:
    ir = shares(SIZES["ir"])[axis].astype(np.float32)
    sample = {"rgb": ("a.png", png(places_picture())), "thermal": ("a.npy", npy(ir))}
    index = builders.write(tmp_path, [sample] * 12)
    block = pairs(
        views={**VIEWS, "rotation": rotation}, thermal=THERMAL, augment_on=augment_on, **LOCAL
    )
    batch = PairDataset(block, index, "train", 5).read_batch(builders.whole_share(range(12)))
    batch = batch.augmented()
    assert batch.num_global_crops == 2
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    seen = []
    for optical, thermal in zip(batch.crops["rgb"], batch.crops["ir"], strict=True):
        places = F.avg_pool2d(optical * std + mean, 2)[:, 1 - axis]  # red: across, green: down
        # a pixel of the coarser picture, in shares of the scene
        assert float((places - thermal[:, 0]).abs().max()) < 1 / SIZES["ir"][axis]
        seen.append(float(places.std()))
    assert min(seen) > 0.02


def test_resample__a_whole_picture_at_its_own_size_stays_as_it_is() -> None:
    picture = torch.rand(1, 7, 9, 2)
    part = torch.tensor([[0.0, 0, 1, 1, 0, 1, 1]], dtype=torch.float64)
    found = resample(picture, part, (7, 9), 9 / 7)
    assert torch.allclose(found[0].permute(1, 2, 0), picture[0], atol=1e-6)
    part[0, 5] = -1
    assert torch.allclose(resample(picture, part, (7, 9), 9 / 7)[0, :, :, 0].T, picture[0, :, -1])


@pytest.mark.parametrize("size", [(8, 10), (40, 31), (96, 128)])
def test_resample__agrees_with_antialiased_interpolation(size) -> None:
    picture = torch.rand(2, 64, 80, 3)
    part = torch.tensor([[0.0, 0, 1, 1, 0, 1, 1]] * 2, dtype=torch.float64)
    wanted = F.interpolate(picture.permute(0, 3, 1, 2), size, mode="bilinear", antialias=True)
    assert torch.allclose(resample(picture, part, size, 1.25), wanted, atol=2e-5)


def test_resample__quarter_turns_are_exact_and_a_batch_is_its_pictures() -> None:
    picture = torch.rand(3, 16, 16, 1)
    angles = torch.tensor([0, np.pi / 2, 0.4])
    parts = torch.tensor([[0.0, 0, 1, 1, 0, 1, 1]] * 3, dtype=torch.float64)
    parts[:, 4] = angles
    found = resample(picture, parts, (16, 16), 1.0)
    assert torch.allclose(found[0, 0], picture[0, ..., 0], atol=1e-6)
    assert torch.allclose(found[1, 0], torch.rot90(picture[1, ..., 0]), atol=1e-5)
    for one in range(3):
        alone = resample(picture[one : one + 1], parts[one : one + 1], (16, 16), 1.0)
        assert torch.allclose(found[one], alone[0], atol=1e-5)


def test_blur__keeps_sums_and_leaves_others_alone() -> None:
    pictures = torch.zeros(2, 1, 21, 21)
    pictures[:, :, 10, 10] = 1
    found = blur(pictures, torch.tensor([2.0, 0.0], dtype=torch.float64))
    assert torch.equal(found[1], pictures[1])
    x = torch.arange(21.0) - 10
    wanted = torch.exp(-(x[:, None] ** 2 + x**2) / 8)
    assert torch.allclose(found[0, 0], wanted / wanted.sum(), atol=1e-5)
