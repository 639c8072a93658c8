"""Draws of crops follow from seed, epoch, sample, crop and modality, and keep their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpctrain.config.pair_views import Views
from hpctrain.data.pairs.change import change_colours, change_temperatures, normals
from hpctrain.data.pairs.draw import Drawing

VIEWS = Views.model_validate(
    {
        "count": 2,
        "local_count": 2,
        "scale": (0.3, 0.9),
        "local_scale": (0.05, 0.2),
        "ratio": (0.8, 1.25),
        "rotation": 30,
        "flip": 0.25,
        "colour": {"probability": 1, "blur": [1, 0, 0.5], "solarise": [0, 0.25, 0]},
        "thermal": {"gain_std": 0.2, "offset_std_k": 2, "blur": 1, "noise_std_k": 0.1},
    }
)


def drawing(seed=0) -> Drawing:
    return Drawing(VIEWS, seed, (4 / 3, 4 / 3))


@pytest.mark.parametrize("kind", ["colour", "thermal", "noise_key"])
def test_changes__differ_by_everything_that_they_belong_to(kind) -> None:
    places = [(0, 1, 2, 0, 1), (1, 1, 2, 0, 1), (0, 2, 2, 0, 1), (0, 1, 3, 0, 1), (0, 1, 2, 1, 1)]
    places.append((0, 1, 2, 0, 0))
    found = [str(getattr(drawing(seed), kind)(i, *rest)) for seed, i, *rest in places]
    assert len(set(found)) == len(places)
    assert found[0] == str(getattr(drawing(0), kind)(1, 2, 0, 1))


def test_parts__differ_by_epoch_sample_and_crop_and_lie_within() -> None:
    draw = drawing()
    parts = [draw.part(i, epoch, view) for i in range(60) for epoch in (0, 1) for view in range(4)]
    assert len(set(parts)) == len(parts)
    table = np.array(parts)
    assert (table[:, :2] >= 0).all()
    assert (table[:, :2] + table[:, 2:4] <= 1 + 1e-12).all()
    areas = (table[:, 2] * table[:, 3]).reshape(-1, 4)
    assert 0.3 <= areas[:, :2].min() < 0.4
    assert 0.8 < areas[:, :2].max() <= 0.9
    assert areas[:, 2:].min() >= 0.05
    assert areas[:, 2:].max() <= 0.2
    stretch = table[:, 3] * (4 / 3) / table[:, 2]
    assert 0.8 <= stretch.min() < 0.85
    assert 1.2 < stretch.max() <= 1.25 + 1e-12
    assert abs(np.degrees(table[:, 4])).max() <= 30
    assert 0.15 < (table[:, 5] < 0).mean() < 0.35
    assert (table[:, 6] == 1).all()


def test_changes__happen_as_often_as_they_shall() -> None:
    draw = drawing()
    table = np.array([[draw.colour(i, 0, view, 0) for view in range(4)] for i in range(300)])
    blurred = (table[..., 4] > 0).mean(0)
    assert (blurred[0], blurred[1]) == (1, 0)
    assert 0.4 < blurred[2] < 0.6
    assert 0.15 < (table[:, 1, 5] <= 1).mean() < 0.35
    assert not (table[:, [0, 2, 3], 5] <= 1).any()
    assert 0.1 < (table[:, 0, 2] == 0).mean() < 0.3
    assert (abs(table[..., 0] - 1) <= 0.4).all()


def test_colours__change_as_their_names_say() -> None:
    picture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    same = torch.tensor([[1.0, 1, 1, 0, 0, 2]], dtype=torch.float64)

    def changed(**given):
        names = ("brightness", "contrast", "saturation", "hue", "sigma", "threshold")
        table = same.clone()
        for name, value in given.items():
            table[0, names.index(name)] = value
        return change_colours(picture, table)

    luma = (picture * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    assert torch.equal(changed(), picture)
    assert torch.allclose(changed(brightness=1.2), picture * 1.2)
    assert torch.allclose(changed(saturation=0), luma.expand(-1, 3, -1, -1), atol=1e-4)
    flat = changed(contrast=0)
    assert torch.allclose(flat, luma.mean().expand_as(flat), atol=1e-6)
    turned = changed(hue=0.3)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert torch.allclose((turned * weights).sum(1, keepdim=True), luma, atol=1e-4)
    assert not torch.allclose(turned, picture, atol=0.02)
    inverted = changed(threshold=0.5)
    assert torch.equal(inverted, torch.where(picture >= 0.5, 1 - picture, picture))


def test_temperatures__have_gain_about_the_mean_offset_and_noise_that_follows_from_a_key() -> None:
    crops = torch.randn(2, 1, 40, 50) * 5 - 20
    table = torch.tensor([[1.5, 2, 0, 0], [1, 0, 0, 0.5]], dtype=torch.float64)
    found = change_temperatures(crops, table, torch.tensor([7, 8]))
    mean = crops[0].mean()
    assert torch.allclose(found[0], mean + 1.5 * (crops[0] - mean) + 2, atol=1e-4)
    noise = (found[1] - crops[1]) / 0.5
    assert abs(float(noise.mean())) < 0.1
    assert abs(float(noise.std()) - 1) < 0.05
    # neighbours have nothing in common
    assert abs(float((noise[..., 1:] * noise[..., :-1]).mean())) < 0.08
    again = normals(torch.tensor([8, 9]), torch.Size((2, 1, 40, 50)))
    assert torch.allclose(again[0], noise, atol=1e-4)
    assert not torch.allclose(again[0], again[1], atol=0.5)
