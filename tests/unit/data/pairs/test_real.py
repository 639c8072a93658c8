"""Pairs that cameras took, and the sky sample: from the files to crops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hpctrain.config.pair_data import CAMERA_MARGINS
from hpctrain.config.read_rule import read_rule
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.formats.mobotix import decode_csv
from hpctrain.index.build import build_index
from hpctrain.index.chosen_pairs import pair_rows
from hpctrain.index.split import split_index
from hpctrain.index.store import save_index
from hpctrain.index.table import Index
from hpctrain.samples.sky import write_sample
from tests.unit.data.pairs.builders import pairs

SHARED = Path(__file__).parents[5] / "shared/data"
TRI2I, SAGE = SHARED / "rgbt_pairs/tri2i", SHARED / "sage/recovered"
needs = {
    path: pytest.mark.skipif(not path.is_dir(), reason=f"{path} is not there")
    for path in (TRI2I, SAGE)
}


def built(root: Path, rule: str | None = None, **values) -> Index:
    index = build_index(root, read_rule(rule, values)).made
    assert index is not None
    return index


def size(height, width):
    return {"size": (height, width), "crop": (height // 2, width // 2)}


@needs[TRI2I]
def test_tri2i__pairs_are_aligned(tmp_path) -> None:
    modalities = {"rgb": {"files": "rgb/*.png"}, "thermal": {"files": "tir/*.png"}}
    index = built(TRI2I, modalities=modalities, pair="stem")
    recipe = {"by": ["id:.*"], "parts": {"validation": "6"}, "seed": 0}
    index = split_index(index, recipe, {})
    save_index(index, tmp_path / "tri2i.csv")
    block = pairs(
        root=str(TRI2I),
        index=str(tmp_path / "tri2i.csv"),
        rgb=size(256, 256),
        ir={**size(256, 256), "channels": "grey+temperature"},
        thermal={"offset": 127.5, "scale": 64},
        views={"colour": {"probability": 0, "grey": 0}, "rotation": 30, "scale": (0.3, 0.6)},
    )
    rows = pair_rows(block, tmp_path)
    assert len(rows) == 30
    data = PairDataset(block, Index(TRI2I, rows, {}, rows[0].columns), "train", 0)
    assert len(data) == 24
    batch = data.read_batch(Share(0, 0, tuple(range(24)), 24))
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    grey = ((batch.crops["rgb"][0] * std + mean) * luma).sum(1)
    own = batch.crops["ir"][0][:, 0] * 0.226 + 0.449
    # the same part of the same picture by two ways: colours, then grey; and grey at once
    assert float((grey - own).abs().max()) < 0.01
    assert float((grey - grey.roll(1, 2)).abs().mean()) > 4 * float((grey - own).abs().mean())
    assert abs(float(batch.crops["ir"][0][:, 1].mean())) < 1


@needs[SAGE]
def test_sage__recovered_frame_and_the_pair_that_is_none(tmp_path) -> None:
    index = built(SAGE, "sage", pair="listed")
    assert {row["node"]: row.status for row in index.rows} == {"site_unstated": "ok", "V017": "bad"}
    (row,) = (row for row in index.rows if row.status == "ok")
    own = Index(SAGE, (row.replace(split="validation"),), {}, index.columns)
    block = pairs(rgb=size(252, 336), ir=size(252, 336))
    data = PairDataset(block, own, "validation", 0, cache=tmp_path)
    celsius = data.temperatures(0)
    path = SAGE / row["thermal"]
    assert np.allclose(celsius, np.loadtxt(path, skiprows=8, delimiter=";"), atol=1e-4)
    batch = data.read_batch(Share(0, 0, (0,), 1))
    assert np.allclose(batch.crops["ir"][0][0, 0], (celsius - 10) / 20, atol=1e-4)
    # the file holds the optical half alone, though its name says both; it is cut as a camera's
    cut = data._planes.cut(row)
    assert (cut.side, cut.margins) == ("right", CAMERA_MARGINS)
    whole = pairs(rgb=size(252, 336), ir=size(252, 336), optical={"margins": {"*": (0, 0, 0, 0)}})
    full = PairDataset(whole, own, "validation", 0).whole(0, "rgb").astype(float)
    left, top, right, bottom = CAMERA_MARGINS
    rows, columns = (
        slice(round(n * a), round(n * (1 - b)))
        for n, a, b in ((252, top, bottom), (336, left, right))
    )
    part = full[rows, columns].mean((0, 1))
    assert np.allclose(data.whole(0, "rgb").mean((0, 1)), part, atol=1)


def test_sky_sample__crops_show_what_the_thermal_eye_sees(tmp_path) -> None:
    write_sample(tmp_path, scenes=10, nodes=1, size=(600, 200), bad=1)
    text = (tmp_path / "rule.yaml").read_text()
    margins = json.loads(next(line for line in text.splitlines() if " V017: [" in line)[16:])
    index = built(tmp_path / "train", str(tmp_path / "rule.yaml"))
    assert {row["view"] for row in index.rows} <= {"sky", "horizon", "below", "ground"}
    rows = [row.replace(split="train") for row in index.rows if row.status == "ok"]
    block = pairs(rgb=size(252, 336), ir=size(252, 336), optical={"margins": {"V017": margins}})
    data = PairDataset(block, Index(index.root, rows, {}, index.columns), "train", 0)
    found = 0
    for i in range(len(data)):
        celsius, optical = data.temperatures(i), data.whole(i, "rgb").astype(float)
        decoded = decode_csv((index.root / data.rows[i]["thermal"]).read_bytes(), "").celsius
        assert np.allclose(celsius, decoded, atol=1e-4)
        if data.rows[i]["view"] == "sky" and optical.mean() > 80:  # clouds are warm, and not blue
            assert max(abs(n) for n in shift_of(celsius, optical[..., 0] - optical[..., 2])) <= 2
            found += 1
    assert found


def shift_of(first, second, most=16):
    """By how many rows and columns the second picture must be moved to fit the first best."""
    inner = slice(most, -most)
    fits = {
        (y, x): np.corrcoef(
            first[inner, inner].ravel(), np.roll(second, (y, x), (0, 1))[inner, inner].ravel()
        )[0, 1]
        for y in range(-most, most + 1, 2)
        for x in range(-most, most + 1, 2)
    }
    return max(fits, key=fits.__getitem__)
