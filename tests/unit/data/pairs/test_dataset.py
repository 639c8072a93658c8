"""Samples of pairs: what they are made of, and that draws belong to seed, epoch and sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpctrain.data.loader import BatchLoader
from hpctrain.data.pairs import PairDataset, PairScales
from hpctrain.data.pairs.scales import measure_edges
from hpctrain.data.reading import choose_reading
from hpctrain.data.sampler import GlobalSampler, Share, stream
from hpctrain.errors import DataError
from tests.unit.data.pairs import builders
from tests.unit.data.pairs.builders import camera_pair, npy, pairs, places_picture, png

LIVELY = {
    "count": 2,
    "local_count": 2,
    "rotation": 15,
    "colour": {"probability": 0.8, "grey": 0.3, "blur": [1, 0.1, 0.5], "solarise": [0, 0.5, 0]},
    "thermal": {"gain_std": 0.1, "offset_std_k": 1, "blur": 0.5, "noise_std_k": 0.1},
}
LOCAL = {"rgb": {"local_crop": (24, 24)}, "ir": {"local_crop": (12, 12)}}
WHOLE = {"half": "whole", "margins": {"*": (0, 0, 0, 0)}}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("camera")
    files = [camera_pair(n, size=(80, 60)) for n in range(10)]
    return builders.write(root, files, ["train"] * 8 + ["validation"] * 2)


def crops_of(batch):
    return [crop for own in batch.augmented().crops.values() for crop in own]


def test_crops__have_shapes_and_the_same_draws_wherever_they_are_made(index, tmp_path) -> None:
    found = {}
    for place in ("workers", "device"):
        data = PairDataset(
            pairs(views=LIVELY, augment_on=place, **LOCAL), index, "train", 3, cache=tmp_path
        )
        found[place] = crops_of(data.read_batch(builders.whole_share(data)))
        assert data.channels == {"rgb": 3, "ir": 1}
        assert data.size("ir") == (24, 24)
        assert data.sample_bytes == sum(4 * c[0].numel() for c in found[place])
    shapes = [(8, 3, 48, 48)] * 2 + [(8, 3, 24, 24)] * 2 + [(8, 1, 24, 24)] * 2
    assert [tuple(c.shape) for c in found["workers"]] == shapes + [(8, 1, 12, 12)] * 2
    for a, b in zip(found["workers"], found["device"], strict=True):
        assert a.dtype == torch.float32
        assert torch.allclose(a, b, atol=1e-4)


def test_draws__belong_to_seed_epoch_and_sample(index) -> None:
    block = pairs(views=LIVELY, **LOCAL)
    data = PairDataset(block, index, "train", 3)
    share = Share(1, 0, (5, 2), 2)
    batch = crops_of(data.read_batch(share))
    again = crops_of(PairDataset(block, index, "train", 3).read_batch(Share(1, 0, (2,), 2)))
    for a, b in zip(batch, again, strict=True):
        assert torch.equal(a[1], b[0])
    others = [
        data.read_batch(Share(2, 0, (5, 2), 2)),
        PairDataset(block, index, "train", 4).read_batch(share),
    ]
    for other in others:
        for a, b in zip(batch, crops_of(other), strict=True):
            assert not torch.allclose(a, b, atol=0.05)
    first, second = batch[0], batch[1]
    assert not torch.allclose(first, second, atol=0.05)


def test_validation__is_the_whole_picture_as_it_is(tmp_path) -> None:
    counts = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) + 5000
    optical = places_picture()
    files = [camera_pair(n, counts + np.uint16(n), optical=optical) for n in range(2)]
    index = builders.write(tmp_path, files, ["train", "validation"])
    block = pairs(optical={"margins": {"W02D": (0, 0, 0, 0)}}, views=LIVELY, **LOCAL)
    batch = PairDataset(block, index, "validation", 0).read_batch(Share(3, 0, (0,), 1))
    assert batch.num_global_crops == len(batch.crops["ir"]) == 1
    celsius = (counts + 1) * 0.04 - 273.15
    assert np.allclose(batch.crops["ir"][0][0, 0] * 20 + 10, celsius, atol=1e-3)
    rgb = batch.crops["rgb"][0][0] * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    rgb = (rgb + torch.tensor([0.485, 0.456, 0.406])[:, None, None]) * 255
    assert np.allclose(rgb.permute(1, 2, 0), optical, atol=1e-3)
    everything = PairDataset(block, index, "all", 0, is_augmented=False)
    assert len(everything) == 2
    assert everything.sources == ("W02D/0", "W02D/1")


@pytest.mark.parametrize("side", ["left", "right"])
def test_optical_half__is_the_one_without_the_sensor(tmp_path, side) -> None:
    files = [camera_pair(1, side=side, size=(80, 60), optical=places_picture())]
    index = builders.write(tmp_path, files)
    block = pairs(optical={"margins": {"*": (0.25, 0.5, 0.25, 0)}})
    found = PairDataset(block, index, "train", 0).whole(0, "rgb")
    red, green = found[..., 0] / 255, found[..., 1] / 255
    assert abs(red[:, 0] - 0.25).max() < 0.01
    assert abs(red[:, -1] - 0.75).max() < 0.01
    assert abs(green[0] - 0.5).max() < 0.01
    assert abs(green[-1] - 1).max() < 0.01


def test_optical_half__of_a_picture_that_fits_no_name_is_asked_for(tmp_path) -> None:
    files = [camera_pair(1, size=(80, 60))]
    name, _ = files[0]["rgb"]
    files[0]["rgb"] = name, png(places_picture((50, 60)))
    index = builders.write(tmp_path, files)
    with pytest.raises(DataError, match=r"60 x 50 pixels.*data\.optical\.half: left, right"):
        PairDataset(pairs(), index, "train", 0).whole(0, "rgb")


def test_channels__of_control_bins_and_both(index) -> None:
    grey = pairs(ir={"channels": "grey", "size": (60, 80)}, views={"count": 1})
    data = PairDataset(grey, index, "validation", 0)
    batch = data.read_batch(Share(0, 0, (0,), 1))
    assert batch.crops["ir"][0].shape == (1, 1, 60, 80)

    both = pairs(ir={"channels": "grey+temperature"})
    found = PairDataset(both, index, "validation", 0).read_batch(Share(0, 0, (0,), 1))
    plain = PairDataset(pairs(), index, "validation", 0).read_batch(Share(0, 0, (0,), 1))
    assert torch.allclose(found.crops["ir"][0][:, :1], batch.crops["ir"][0])
    assert torch.allclose(found.crops["ir"][0][:, 1:], plain.crops["ir"][0])

    bins = pairs(ir={"channels": "temperature_bins"}, thermal={"bins": {"edges": (-20, 0, 10, 20)}})
    scales = PairScales(measure_edges(bins.thermal.bins, ()))
    own = PairDataset(bins, index, "validation", 0, scales=scales)
    found = own.read_batch(Share(0, 0, (0,), 1)).crops["ir"][0][0]
    celsius = torch.from_numpy(own.temperatures(0))
    for channel, (low, high) in zip(found, [(-20, 0), (0, 10), (10, 20)], strict=True):
        wanted = 2 * ((celsius - low) / (high - low)).clamp(0, 1) - 1
        assert torch.allclose(channel, wanted, atol=1e-4)


def test_bins__of_quantiles_and_clouds() -> None:
    values = [np.linspace(-40, 40, 8001, dtype=np.float32)]
    bins = {"quantiles": (0, 0.25, 0.5, 1)}
    block = pairs(ir={"channels": "temperature_bins"}, thermal={"bins": bins}).thermal
    assert np.allclose(measure_edges(block.bins, values), (-40, -20, 0, 40))
    block = pairs(ir={"channels": "temperature_bins"}, thermal={"bins": {"clouds": (-20, -5)}})
    edges = measure_edges(block.thermal.bins, values)
    assert np.allclose(edges, (-39.92, -20, -5, 39.92), atol=0.02)
    with pytest.raises(DataError, match="two are equal"):
        measure_edges(
            pairs(ir={"channels": "temperature_bins"}, thermal={"bins": bins}).thermal.bins,
            [np.zeros(9, np.float32)],
        )


def test_loader__gives_the_same_batches_with_threads_and_measures(index, tmp_path) -> None:
    block = pairs(views=LIVELY, **LOCAL)
    data = PairDataset(block, index, "train", 3, cache=tmp_path)
    sampler = GlobalSampler(len(data), 4, 3)
    with BatchLoader(data, stream(sampler, 0, 2, epochs=2), workers=2) as loader:
        found = [crops_of(batch)[0] for batch in loader]
    plain = [crops_of(data.read_batch(share))[0] for share in stream(sampler, 0, 2, epochs=2)]
    assert len(found) == len(plain) == 4
    assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))
    assert choose_reading(data, iter(range(8)), 1, 4, None, None).workers == 1


def test_micro__parts_have_their_material(index) -> None:
    data = PairDataset(pairs(views=LIVELY, augment_on="device", **LOCAL), index, "train", 3)
    batch = data.read_batch(Share(0, 0, (0, 1, 2), 3))
    parts = batch.micro(2)
    assert [part.ids for part in parts] == [(0,), (1, 2)]
    joined = torch.cat([crops_of(part)[0] for part in parts])
    assert torch.allclose(joined, crops_of(batch)[0], atol=1e-4)
    assert [part.is_filler for part in batch.micro(4)] == [True, False, False, False]


def test_files__of_no_numbers_and_changed_ones_are_refused(tmp_path) -> None:
    thermal = np.full((60, 80), np.nan, np.float32)
    files = [{"rgb": ("a.png", png(places_picture())), "thermal": ("a.npy", npy(thermal))}]
    index = builders.write(tmp_path, files)
    data = PairDataset(pairs(thermal={"offset": 0, "scale": 1}), index, "train", 0)
    with pytest.raises(DataError, match=r"a\.npy: holds values that are no numbers"):
        data.read_batch(Share(0, 0, (0,), 1))
    (tmp_path / "a.npy").write_bytes(npy(np.zeros_like(thermal)))
    with pytest.raises(DataError, match=r"a\.npy: content has changed"):
        data.read_batch(Share(0, 0, (0,), 1))


def test_split__without_samples_is_refused(index) -> None:
    with pytest.raises(DataError, match="no usable sample for test"):
        PairDataset(pairs(), index, "test", 0)
