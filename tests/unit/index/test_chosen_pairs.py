"""A job on pairs takes the usable samples that fit its expression, and no others."""

from __future__ import annotations

import pytest

from hpctrain.errors import DataError
from hpctrain.index.chosen_pairs import build_pairs_index, pair_rows
from hpctrain.index.store import save_index
from tests.unit.data.pairs import builders
from tests.unit.data.pairs.builders import camera_pair, npy, pairs, places_picture, png

SPLITS = ["train"] * 4 + ["validation"] * 2


@pytest.fixture
def saved(tmp_path):
    index = builders.write(tmp_path, [camera_pair(n) for n in range(6)], SPLITS)
    rows = (*index.rows[:5], index.rows[5].replace(status="bad", reason="truncated: rgb"))
    save_index(type(index)(index.root, rows, {}, index.columns), tmp_path / "index.csv")
    return tmp_path


def test_rows__fit_the_expression_and_are_usable(saved) -> None:
    index = build_pairs_index(pairs(root=str(saved)), saved)
    assert len(index.rows) == 5
    assert index.columns.modalities == ("rgb", "thermal")
    chosen = build_pairs_index(pairs(root=str(saved), where='sky == "0"'), saved)
    assert [row.id for row in chosen.rows] == ["W02D/0", "W02D/2", "W02D/4"]
    assert chosen.facts["rule"]["where"] == 'sky == "0"'


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"where": 'sky == "1"'}, "no usable sample that fits .* is in the split validation"),
        ({"where": "weather == 1"}, "data.where: unknown column 'weather'"),
        ({"where": "sky =="}, "data.where: 'sky ==' is no expression"),
        ({"thermal": {"column": "ir"}}, "has no modality 'ir' for data.thermal.column; it has rgb"),
        ({"index": "none.csv"}, "cannot be read"),
    ],
)
def test_rows__that_cannot_be_found_are_refused(saved, given, text) -> None:
    with pytest.raises(DataError, match=text):
        pair_rows(pairs(**given), saved)


def test_rows__a_changed_file_is_refused(saved) -> None:
    index = build_pairs_index(pairs(root=str(saved)), saved)
    path = saved / index.rows[0]["rgb"]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="when the job was rendered"):
        build_pairs_index(pairs(root=str(saved)), saved)


def test_rows__values_without_degrees_need_a_scale(tmp_path) -> None:
    sample = {"rgb": ("a.png", png(places_picture())), "thermal": ("a.npy", npy(range(4)))}
    other = {"rgb": ("b.png", png(255 - places_picture())), "thermal": ("b.npy", npy(range(5)))}
    save_index(builders.write(tmp_path, [sample, other], ["train", "validation"]), tmp_path)
    with pytest.raises(DataError, match="holds no degrees"):
        pair_rows(pairs(), tmp_path)
    assert len(pair_rows(pairs(thermal={"offset": 0, "scale": 1}), tmp_path)) == 2
    grey = pairs(ir={"channels": "grey"})
    assert len(pair_rows(grey, tmp_path)) == 2
