import json
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from hpctrain.data import BatchLoader
from hpctrain.data.sampler import DrawnSampler, Share, stream
from hpctrain.data.scroll import ScrollDataset
from hpctrain.errors import DataError
from tests.unit.data.scroll.builders import (
    SHAPE,
    datasets,
    ink,
    mask,
    place_of,
    places,
    scroll,
    write_fragment,
    write_layers,
    write_layout,
)

SHARED = Path(__file__).parents[5] / "shared" / "data" / "vesuvius"


def whole(data, epoch=0, count=None):
    ids = tuple(range(count or len(data)))
    return data.read_batch(Share(epoch, 0, ids, len(ids)))


LAYOUTS = (
    *("fragment", "fragment, labels 1", "packed", "segment", "volpkg", "slices", "npy", "npz"),
    *("packed npz", "tiff", "zarr", "ome"),
)
LABELLED = ("fragment", "fragment, labels 1", "packed", "segment", "zarr")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_read_batch__layouts(tmp_path, layout):
    root = tmp_path / "data"
    root.mkdir()
    more = write_layout(root, layout)
    train, validation = datasets(scroll(root, **more))
    for data in (train, validation):
        batch = whole(data)
        assert batch.volume.shape == (len(data), 1, 3, 8, 8)
        assert (batch.label is not None) == (layout in LABELLED)
        z, y, x = place_of(batch.volume[:, 0].numpy())
        assert (
            np.stack([z[:, 0, 0, 0], y[:, 0, 0, 0], x[:, 0, 0, 0]], 1) == batch.origins.numpy()
        ).all()
        assert (z[:, 1] == z[:, 0] + 1).all()
        assert (y[:, :, 1] == y[:, :, 0] + 1).all()
        assert (x[..., 1] == x[..., 0] + 1).all()
        if batch.label is not None:
            assert (batch.label.numpy() == ink()[y[:, 0], x[:, 0]]).all()
            assert (batch.mask.numpy() == mask()[y[:, 0], x[:, 0]]).all()
            assert mask()[y[:, 0, 4, 4], x[:, 0, 4, 4]].all()


def test_ome__pictures_and_the_highest_resolution(tmp_path):
    write_layout(tmp_path, "ome")
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="a", zarr_format=2)
    planes = {"inklabels": ink().astype(np.uint8), "mask": mask().astype(np.uint8)}
    for name, values in {"volume": places() * 0, **planes}.items():
        group.create_array(name, data=values, chunks=values.shape)
    train, _ = datasets(scroll(tmp_path))
    batch = whole(train)
    _, y, x = place_of(batch.volume[:, 0].numpy())
    assert (batch.origins[:, 1:].numpy() == np.stack([y[:, 0, 0, 0], x[:, 0, 0, 0]], 1)).all()
    assert (batch.label.numpy() == ink()[y[:, 0], x[:, 0]]).all()
    assert (batch.mask.numpy() == mask()[y[:, 0], x[:, 0]]).all()
    other, _ = datasets(scroll(tmp_path, array="volume"))
    assert not whole(other, count=2).volume.any()


@pytest.mark.parametrize(
    "validation",
    [
        {},
        {"share": 0.3, "axis": "y"},
        {"share": 0.4, "axis": "z"},
        {"rows": [12, 30], "columns": [20, 40]},
        {"layers": [3, 6], "rows": [12, 30], "columns": [20, 40]},
    ],
)
def test_splits__windows_never_overlap(tmp_path, validation):
    write_layers(tmp_path / "s", places())
    block = scroll(tmp_path, validation={**validation, "stride": [1, 2, 2]}, samples_per_epoch=3000)
    train, held = datasets(block)
    cells = np.zeros(SHAPE, bool)
    for i in range(len(held)):
        z, y, x = held.place(i, 0).origin
        cells[z : z + 3, y : y + 8, x : x + 8] = True
    trained = np.zeros(SHAPE, bool)
    for i in range(3000):
        z, y, x = train.place(i, 0).origin
        trained[z : z + 3, y : y + 8, x : x + 8] = True
    assert not (cells & trained).any()
    assert (cells | trained).mean() > 0.9


def test_places__uniform_in_the_mask(tmp_path):
    write_fragment(tmp_path / "1")
    block = scroll(tmp_path, window=[9, 8, 8], samples_per_epoch=20000)
    train, _ = datasets(block)
    counts = np.zeros(SHAPE[1:])
    for i in range(20000):
        _, y, x = train.place(i, 0).origin
        counts[y + 4, x + 4] += 1
    allowed = mask().copy()
    allowed[:4] = allowed[-3:] = False
    allowed[:, :4] = allowed[:, 51 - 3 :] = False  # 15 % of 60 columns are held out
    assert not counts[~allowed].any()
    expected = 20000 / allowed.sum()
    chi2 = ((counts[allowed] - expected) ** 2 / expected).sum()
    freedom = allowed.sum() - 1
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_places__uniform_over_volumes_of_unequal_size(tmp_path):
    write_layers(tmp_path / "a", places((3, 20, 30)))
    write_layers(tmp_path / "b", places())
    held = {"share": 0.4, "axis": "x"}
    train, _ = datasets(scroll(tmp_path, samples_per_epoch=4000, validation=held))
    share = np.mean([train.place(i, 0).volume for i in range(4000)])
    a, b = 1 * 13 * (18 - 7), 7 * 33 * (36 - 7)
    assert abs(share - b / (a + b)) < 0.01


def test_places__edges_and_ink(tmp_path):
    write_fragment(tmp_path / "1")
    block = scroll(tmp_path, edge_share=0.4, ink_share=0.5, samples_per_epoch=2000)
    train, _ = datasets(block)
    label, kinds = ink(), []
    for i in range(2000):
        _, y, x = train.place(i, 0).origin
        y, x = y + 4, x + 4
        near = [label[y + a, x + b] for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        kinds.append("edge" if any(n != label[y, x] for n in near) else bool(label[y, x]))
    edge = kinds.count("edge") / 2000
    assert 0.4 <= edge < 0.55  # places for ink lie on edges, too
    assert kinds.count(True) > 0.15 * 2000
    assert kinds.count(False) > 0.2 * 2000


def test_surface__middle_layers_and_shift(tmp_path):
    write_fragment(tmp_path / "1")
    augment = {"flip": False, "rotate": False, "depth_shift": 2}
    train, held = datasets(scroll(tmp_path, sample="surface", augment=augment))
    assert {train.place(i, 0).origin[0] for i in range(64)} == {1, 2, 3, 4, 5}
    assert {held.place(i, 0).origin[0] for i in range(len(held))} == {3}


def test_augment__alike_for_volume_label_and_mask(tmp_path):
    volume = places()
    label = (np.indices(SHAPE[1:]).sum(0) % 3 == 0) | ink()
    write_fragment(tmp_path / "1", volume, label)
    augment = {"flip": True, "rotate": True, "flip_depth": True}
    train, _ = datasets(scroll(tmp_path, augment=augment, samples_per_epoch=200))
    batch, turns = whole(train), set()
    for n in range(200):
        z, y, x = place_of(batch.volume[n, 0].numpy())
        origin = batch.origins[n].tolist()
        assert [z.min(), y.min(), x.min()] == origin
        assert (label[y[0], x[0]] == batch.label[n].numpy()).all()
        assert (mask()[y[0], x[0]] == batch.mask[n].numpy()).all()
        down = y[0, 1, 0] - y[0, 0, 0], x[0, 1, 0] - x[0, 0, 0]
        turns.add((*down, y[0, 0, 1] - y[0, 0, 0], x[0, 0, 1] - x[0, 0, 0]))
        turns.add(int(z[1, 0, 0] - z[0, 0, 0]))
    assert len(turns) == 8 + 2  # all of the square, and both ways along z


def test_augment__windows_that_are_not_square(tmp_path):
    write_layers(tmp_path / "s", places())
    augment = {"flip": False, "rotate": True}
    train, _ = datasets(scroll(tmp_path, window=[3, 6, 8], augment=augment))
    batch = whole(train)
    _, y, x = place_of(batch.volume[:, 0].numpy())
    steps = {
        (int(a), int(b))
        for a, b in zip(x[:, 0, 0, 1] - x[:, 0, 0, 0], y[:, 0, 1, 0] - y[:, 0, 0, 0], strict=True)
    }
    assert steps == {(1, 1), (-1, -1)}


def test_augment__cutout_blanks_volume_and_mask(tmp_path):
    write_layers(tmp_path / "s", places())
    augment = {"cutout": [4, 5], "cutout_probability": 1.0, "blank_layers": 2}
    train, _ = datasets(scroll(tmp_path, augment=augment, normalization="sample"))
    train.scales = train.measure_scales()
    batch = whole(train)
    for volume, mask_ in zip(batch.volume[:, 0], batch.mask, strict=True):
        cut = ~mask_
        assert 1 <= cut.sum() <= 20
        assert volume[:, cut].std() == 0
        assert volume[0, cut][0].abs() < 1e-5
    flat = (batch.volume[:, 0].flatten(2).std(2) == 0).sum(1)
    assert set(flat.tolist()) == {0, 1, 2}


def test_draws__any_rank_sees_what_it_would_in_one_run(tmp_path):
    """Order and content belong to (seed, epoch, number), whoever reads and whatever came before."""
    write_fragment(tmp_path / "1")
    augment = {"noise_std": 0.1, "multiplicative_std": 0.2, "cutout": [3, 3]}
    block = scroll(tmp_path, augment=augment, samples_per_epoch=22)
    train, _ = datasets(block, seed=3)
    sampler = DrawnSampler(len(train), 8, 3)

    def run(rank, world_size, epoch=0, step=0, workers=2):
        shares = stream(sampler, rank, world_size, epoch, step, 3)
        with BatchLoader(datasets(block, seed=3)[0], shares, workers) as loader:
            return list(loader)

    alone = run(0, 1)
    assert [(b.epoch, b.step) for b in alone] == [(e, s) for e in range(3) for s in range(2)]
    ranks = [run(rank, 2, epoch=1, step=1, workers=1) for rank in range(2)]
    for number, batch in enumerate(alone[3:]):
        halves = [own[number] for own in ranks]
        assert batch.ids == halves[0].ids + halves[1].ids
        for name in ("volume", "label", "mask", "origins"):
            joined = torch.cat([getattr(half, name) for half in halves])
            assert torch.equal(getattr(batch, name), joined)
    assert not torch.equal(alone[0].origins, alone[2].origins)  # another epoch, other windows


def test_pool__gone_through_again_and_again(tmp_path):
    write_layers(tmp_path / "s", places())
    block = scroll(tmp_path, pool=10, pool_lasts=40, samples_per_epoch=20)
    train, _ = datasets(block)
    drawn = [train.place(i, epoch).origin for epoch in range(4) for i in range(20)]
    first, second = drawn[:40], drawn[40:]
    for part in (first, second):
        turns = [sorted(part[i : i + 10]) for i in range(0, 40, 10)]
        assert all(turn == turns[0] for turn in turns)
        assert part[:10] != part[10:20]
    assert not set(first) & set(second)


def test_papyrus__windows_of_air_are_drawn_again(tmp_path):
    volume = np.zeros(SHAPE, np.uint16)
    volume[:, :20] = 30000
    write_layers(tmp_path / "s", volume)
    some = [
        whole(datasets(scroll(tmp_path, **more))[0]).volume.mean((1, 2, 3, 4)) / 30000
        for more in ({}, {"papyrus_above": 1000.0})
    ]
    assert (some[0] < 0.5).float().mean() > 0.3
    assert (some[1] < 0.5).float().mean() < 0.05


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_papyrus__each_window_is_read_once(tmp_path, monkeypatch, share):
    volume = places()
    volume[:, 4:] = 0  # no window is half of papyrus but those of the first row, and many are tied
    write_layers(tmp_path / "s", volume)
    train, _ = datasets(scroll(tmp_path, papyrus_above=1.0, papyrus_share=share))
    read, seen = train.volumes[0].read, []

    def counted(start, size):
        seen.append((start, size))
        return read(start, size)

    monkeypatch.setattr(train.volumes[0], "read", counted)
    origins = [train.place(i, 0).origin for i in range(len(train))]
    looked_at = seen.copy()
    seen.clear()
    batch = whole(train)
    assert seen == looked_at
    assert batch.origins.tolist() == [list(origin) for origin in origins]
    for window, (z, y, x) in zip(batch.volume[:, 0].numpy(), origins, strict=True):
        assert (window == volume[z : z + 3, y : y + 8, x : x + 8]).all()


@pytest.mark.parametrize("kind", ["standard", "percentiles", "limits", "sample"])
def test_scales__round_trip(tmp_path, kind):
    rng = np.random.default_rng(0)
    for name, level in (("a", 9000), ("b", 30000)):
        values = rng.normal(level, 1500, SHAPE).clip(0, 65535).astype(np.uint16)
        write_layers(tmp_path / name, values)
    more = {"limits": [8000.0, 12000.0]} if kind == "limits" else {}
    block = scroll(
        tmp_path, volumes=["a"], validation={"volumes": ["b"]}, normalization=kind, **more
    )
    train, held = datasets(block)
    train.scales = train.measure_scales()
    held.scales = type(train.scales).from_dict(
        json.loads(json.dumps(held.measure_scales(train.scales).to_dict()))
    )
    for data in (train, held):
        values = whole(data).volume
        if kind in ("standard", "sample"):
            assert abs(values.mean()) < 0.1
            assert abs(values.std() - 1) < 0.1
        else:
            assert set(values.unique().tolist()) >= {0.0, 1.0} or (kind, data) == ("limits", held)
            assert 0 <= values.min() <= values.max() == 1
    if kind == "standard":
        raw = train.raw(train.place(0, 0))
        back = train.scales.scales["a"].undo(train.scales.apply("a", raw))
        assert np.abs(back - raw).max() < 0.1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"ink_share": 0.5}, "data.labels: 2 has no 'inklabels', and other volumes have"),
        ({"volumes": ["2"], "edge_share": 0.1}, "which edge_share and ink_share need"),
        ({"volumes": ["3"], "ink_share": 0.5}, "data.ink_share: there is no ink in the part"),
    ],
)
def test_labels__not_all_or_no_ink(tmp_path, more, told):
    write_fragment(tmp_path / "1")
    write_fragment(tmp_path / "2", places() + 1)
    (tmp_path / "2" / "inklabels.png").unlink()
    write_fragment(tmp_path / "3", places() + 2, labels=np.zeros(SHAPE[1:], bool))
    with pytest.raises(DataError, match=told):
        datasets(scroll(tmp_path, **more))


def test_read_batch__no_number_is_named(tmp_path):
    values = np.ones(SHAPE, np.float32)
    values[4, 20, :] = np.nan
    np.save(tmp_path / "v.npy", values)
    train, _ = datasets(scroll(tmp_path, window=[9, 40, 8]))
    with pytest.raises(DataError, match=r"v.npy: the grey value at z 4, y 20, x \d+ is no number"):
        whole(train, count=1)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED}: no real scroll here")
def test_real_scroll():
    block = scroll(
        SHARED,
        volumes=["*.npz"],
        window=[32, 32, 32],
        papyrus_above=20.0,
        normalization="percentiles",
    )
    train, held = datasets(block)
    assert isinstance(train, ScrollDataset)
    assert train.volumes[0].plane == (280, 280)
    train.scales = held.scales = train.measure_scales()
    values = whole(train).volume
    assert 0.1 < values.mean() < 0.9
    assert len(held) == 2 * 9 * 2
