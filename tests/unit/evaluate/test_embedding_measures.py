"""Measures of generated stores: what was put in is found, and what was not is chance."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpctrain.embed.store import Store
from hpctrain.errors import ConfigError, DataError
from hpctrain.evaluate.embeddings.choice import Choice
from hpctrain.evaluate.embeddings.columns import classes_of, usual_classes
from hpctrain.evaluate.embeddings.command import evaluate
from hpctrain.evaluate.embeddings.evolution import curves_of
from hpctrain.evaluate.embeddings.measure import Measures
from hpctrain.evaluate.embeddings.tables import flat, page_tables
from tests.unit.embed.stores import full_store

COUNT, DIM = 240, 12
DRAW = np.random.default_rng(11)
NODE, POSITION = DRAW.integers(0, 3, COUNT), DRAW.integers(0, 2, COUNT)
COLUMNS = {
    "node": [f"W{n}" for n in NODE],
    "position": [str(p) for p in POSITION],
    "timestamp": [f"2023-01-{1 + i % 20:02d}T00:00:00Z" for i in range(COUNT)],
    "daylight": ["day" if x else "night" for x in DRAW.integers(0, 2, COUNT)],
    "sun": [f"{x:.3f}" for x in DRAW.uniform(-60, 60, COUNT)],
}


def quick(folder: Path, rgb: np.ndarray, ir: np.ndarray, **choice: Any) -> dict[str, Any]:
    store = full_store(folder, {"rgb": rgb, "ir": ir}, COLUMNS)
    return Measures(store, Choice(neighbours=5, **choice)).quick()


def test_pointing_alone__is_not_taken_for_more(tmp_path: Path) -> None:
    own = DRAW.standard_normal((6, DIM)).astype(np.float32)[2 * NODE + POSITION]
    found = quick(tmp_path, own, own)
    kinds = found["retrieval"]["rgb_to_ir"]
    assert kinds["all"]["r@1"] == pytest.approx(kinds["position_only"]["r@1"])
    assert kinds["all"]["r@1"] > 4 * kinds["all"]["r@1_chance"]
    assert kinds["within_position"]["r@1"] == pytest.approx(kinds["within_position"]["r@1_chance"])
    assert found["classes"]["node"]["rgb"]["knn"]["accuracy"] == 1
    light = found["classes"]["daylight"]
    assert light["how"] == "5 folds of whole days"
    assert light["rgb"]["probe"]["accuracy"] == pytest.approx(
        light["position_only"]["accuracy"], abs=0.05
    )


def test_scenes__are_found_within_a_pointing(tmp_path: Path) -> None:
    own = DRAW.standard_normal((COUNT, DIM)).astype(np.float32)
    found = quick(tmp_path, own, own + 0.01, queries=100)
    for direction in ("rgb_to_ir", "ir_to_rgb"):
        kinds = found["retrieval"][direction]
        assert kinds["all"]["queries"] == 100
        assert kinds["all"]["gallery"] == COUNT
        assert (kinds["all"]["r@1"], kinds["within_position"]["r@1"]) == (1, 1)
        assert kinds["shuffled"]["r@5_low"] <= 5 / COUNT <= kinds["shuffled"]["r@5_high"]
    node = found["classes"]["node"]["ir"]
    for kind in ("knn", "probe", "knn_shuffled"):
        assert node[kind]["accuracy"] < 0.55  # of three classes; nothing was put in
    assert node["knn"]["judged"] == 100


def test_whole__has_maps_clusters_and_components(tmp_path: Path) -> None:
    light = np.array([c == "day" for c in COLUMNS["daylight"]])
    own = (8 * light[:, None] + DRAW.standard_normal((COUNT, DIM))).astype(np.float32)
    store = full_store(tmp_path, {"rgb": own, "ir": own + 1}, COLUMNS)
    done = Measures(store, Choice(points=50, columns=("daylight", "sun"))).whole()
    assert list(done.numbers["classes"]) == ["daylight", "sun"]
    found = done.numbers["clusters"]["rgb"]["k-means"]
    assert found["clusters"] == 2
    assert found["against"]["daylight"]["nmi"] == pytest.approx(1)
    assert done.numbers["pca"]["rgb"]["shares"][0] > 0.8
    assert list(done.places) == ["t-SNE of both", "PCA of both", "PCA of rgb", "PCA of ir"]
    assert done.places["t-SNE of both"]["ir"].shape == (50, 2)
    lines = dict(flat(done.numbers))
    assert lines["spread.rgb.effective_rank"] == done.numbers["spread"]["rgb"]["effective_rank"]
    assert len(page_tables(done.numbers)) == 4


def test_umap__places_what_t_sne_would(tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="needs umap-learn: pip install 'hpctrain[umap]'")
    own = DRAW.standard_normal((COUNT, DIM)).astype(np.float32)
    store = full_store(tmp_path, {"rgb": own, "ir": own + 1}, COLUMNS)
    done = Measures(store, Choice(points=50, projection="umap")).whole()
    assert list(done.places)[0] == "UMAP of both"
    assert done.numbers["map"]["UMAP of both"]["fitted"] == 100


def test_umap__that_is_not_there_is_told_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r"--projection umap: .* pip install 'hpctrain\[umap\]'"):
        evaluate(tmp_path, Choice(projection="umap"))


def test_store__with_the_table_of_another_is_refused(tmp_path: Path) -> None:
    own = DRAW.standard_normal((8, 3))
    store = full_store(tmp_path / "own", {"rgb": own, "ir": own})
    other = full_store(tmp_path / "other", {"rgb": own, "ir": own}, {"node": "ABCDEFGH"})
    shutil.copy(other.folder / "rows.csv", store.folder)
    with pytest.raises(DataError, match="is not the table whose rows were embedded"):
        Measures(store, Choice())


def test_unequal_dimensions__have_no_retrieval_but_all_else(tmp_path: Path) -> None:
    store = full_store(
        tmp_path, {"rgb": DRAW.standard_normal((30, 6)), "ir": DRAW.standard_normal((30, 4))}
    )
    done = Measures(store, Choice()).whole()
    assert "unequal dimensions" in done.numbers["retrieval"]["note"]
    assert "linear_cka" in done.numbers["pairs"]
    assert list(done.places) == ["t-SNE of ir", "t-SNE of rgb", "PCA of rgb", "PCA of ir"]


def test_expanders__make_the_space_in_which_modalities_are_compared(tmp_path: Path) -> None:
    draws = {m: DRAW.standard_normal((60, 6)).astype(np.float32) for m in ("rgb", "ir")}
    alike = DRAW.standard_normal((60, 9)).astype(np.float32)
    behind = {"rgb_expanded": alike, "ir_expanded": 2 * alike}
    networks = {"rgb": "backbone_rgb", "ir": "backbone_ir"}
    store = full_store(tmp_path / "both", {**draws, **behind}, networks=networks)
    done = Measures(store, Choice()).whole()
    assert done.numbers["retrieval"]["ir_to_rgb"]["all"]["r@1"] == 1
    assert done.numbers["pairs"]["alignment"] == pytest.approx(0, abs=1e-6)
    assert "behind the expanders" in done.numbers["retrieval_of"]["vectors"]
    assert "behind the expanders" in page_tables(done.numbers)[0]["note"]
    assert list(done.numbers["spread"]) == list(done.numbers["clusters"]) == ["rgb", "ir"]
    assert list(done.places)[:2] == ["t-SNE of both, expanded", "PCA of both, expanded"]
    plain = full_store(tmp_path / "plain", draws, networks=networks)
    found = Measures(plain, Choice()).quick()
    assert "no loss made alike" in found["retrieval"]["note"]
    assert "alignment" not in found["pairs"]
    shared = full_store(tmp_path / "shared", draws, networks=dict.fromkeys(networks, "backbone"))
    assert "all" in Measures(shared, Choice()).quick()["retrieval"]["rgb_to_ir"]


def test_splits__retrieval_is_among_pairs_that_were_not_trained_on(tmp_path: Path) -> None:
    splits = ["train" if i % 3 else "validation" for i in range(COUNT)]
    own = DRAW.standard_normal((COUNT, DIM)).astype(np.float32)
    known = np.array([split == "train" for split in splits])
    other = np.where(known[:, None], own, DRAW.standard_normal((COUNT, DIM))).astype(np.float32)
    columns = {"split": splits, **COLUMNS}
    store = full_store(tmp_path, {"rgb": own, "ir": other}, columns)
    found = Measures(store, Choice(neighbours=5)).quick()
    kinds = found["retrieval"]["rgb_to_ir"]
    assert (kinds["all"]["queries"], kinds["all"]["gallery"]) == (80, 80)
    assert kinds["all"]["r@1"] < 0.1
    assert kinds["within_position"]["queries"] == kinds["position_only"]["queries"] == 80
    assert (kinds["trained_on"]["gallery"], kinds["trained_on"]["r@1"]) == (160, 1)
    assert found["pairs"]["alignment"] > 1
    assert found["retrieval_of"]["rows"] == "pairs that were not trained on"
    lines = dict(flat(found))
    assert lines["retrieval.ir_to_rgb.trained_on.r@1"] == 1
    assert list(curves_of([lines])["R@1 of pairs trained on"]) == ["rgb → ir", "ir → rgb"]
    names = [row[0] for row in page_tables(found)[0]["rows"]]
    assert "rgb → ir, among pairs trained on" in names


def test_columns__that_are_classes(tmp_path: Path) -> None:
    table = full_store(tmp_path, {"rgb": np.ones((COUNT, 2))}, COLUMNS).table
    assert [own.name for own in usual_classes(table, COUNT)] == ["node", "position", "daylight"]
    quarters = classes_of(table, "sun")
    assert np.bincount(quarters.codes).tolist() == [60] * 4
    assert all(" to " in value for value in quarters.values)
    with pytest.raises(ConfigError, match="id has 240 different texts"):
        classes_of(table, "id")
    assert Store.open(tmp_path).num_rows == COUNT
