"""Judges of encoders of pairs: R@1, votes on day and night; components of pixels as rivals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpctrain.analysis.embeddings.neighbours import nearest
from hpctrain.analysis.embeddings.retrieval import confidence, find_twins
from hpctrain.config.load import read_resolved
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.embed.store import EXPANDED, Store
from hpctrain.index.read import read_index

COMPONENTS, VOTES, TEMPERATURE = 64, 20, 0.07
RIDGE = 0.01
"""Of canonical correlations; the best of 0.01, 0.1 and 1 on the sample of seed 1."""
Both = dict[str, np.ndarray]


def embedded(run: Path) -> tuple[Both, Both, list[str]]:
    """Vectors of all pairs by modality, those that modalities are compared by, and ids."""
    (place,) = (path.parent for path in (run / "embeddings").glob("*/store.json"))
    store = Store.open(place)
    rows = slice(0, store.num_rows)
    own = {n: np.asarray(store.branch(n)[rows], np.float32) for n in store.dims}
    vectors = {m: own[m] for m in ("rgb", "ir")}
    # separate networks of VICReg are alike behind their expanders alone
    compared = {m: own.get(f"{m}{EXPANDED}", x) for m, x in vectors.items()}
    return vectors, compared, list(store.table.column("id"))


def pixels(run: Path) -> tuple[Both, list[str]]:
    """Whole pictures as rows, grey and temperature, and ids; each pixel has mean 0, deviation 1."""
    pairs = read_resolved(run / "config.yaml").data
    both = pairs.modalities.model_copy(
        update={"rgb": pairs.modalities.rgb.model_copy(update={"channels": "grey", "mean": None})}
    )
    pairs = pairs.model_copy(update={"modalities": both})
    dataset = PairDataset(pairs, read_index(run), "all", 0)
    ids = tuple(range(len(dataset)))
    batch = dataset.read_batch(Share(0, 0, ids, len(ids)))
    found = {m: batch.crops[m][0].flatten(1).numpy() for m in ("rgb", "ir")}
    scaled = {m: (x - x.mean(0)) / (x.std(0) + 1e-6) for m, x in found.items()}
    return scaled, [row.id for row in dataset.rows]


def components(x: np.ndarray, learnt: np.ndarray, count: int = COMPONENTS) -> np.ndarray:
    """The first principal components of rows that were learnt from, as columns."""
    own = x[learnt] - x[learnt].mean(0)
    return np.linalg.svd(own, full_matrices=False)[2][:count].T


def correlated(pictures: Both, learnt: np.ndarray) -> Both:
    """Canonical correlations of principal components (Hotelling 1936), with a ridge.

    A linear map of each kind of picture, so that both agree as much as possible.
    """
    own = {m: x @ components(x, learnt) for m, x in pictures.items()}
    whitened = {}
    for m, x in own.items():
        x -= x[learnt].mean(0)
        cov = x[learnt].T @ x[learnt] / learnt.sum()
        values, vectors = np.linalg.eigh(cov + RIDGE * np.trace(cov) / len(cov) * np.eye(len(cov)))
        whitened[m] = x @ (vectors * values**-0.5) @ vectors.T
    cross = whitened["rgb"][learnt].T @ whitened["ir"][learnt] / learnt.sum()
    left, strength, right = np.linalg.svd(cross)
    kept = slice(0, COMPONENTS // 2)
    maps = {"rgb": left[:, kept], "ir": right.T[:, kept]}
    return {m: x @ maps[m] * strength[kept] for m, x in whitened.items()}


def rivals(pictures: Both, learnt: np.ndarray) -> dict[str, Both]:
    """What linear methods make of the same pictures."""
    joint = components(np.concatenate(list(pictures.values())), np.tile(learnt, 2))
    one = {m: x @ joint for m, x in pictures.items()}
    own = {m: x @ components(x, learnt) for m, x in pictures.items()}
    there, *_ = np.linalg.lstsq(own["ir"][learnt], own["rgb"][learnt], rcond=None)
    mapped = {"rgb": own["rgb"], "ir": own["ir"] @ there}
    return {"PCA of both": one, "PCA, mapped": mapped, "CCA": correlated(pictures, learnt)}


def judge(
    vectors: Both, compared: Both, learnt: np.ndarray, daylight: np.ndarray
) -> dict[str, float]:
    """R@1 both ways among held-out pairs, and the share of right votes on day and night."""
    held = np.flatnonzero(~learnt)
    own = {m: x[held] - x[learnt].mean(0) for m, x in vectors.items()}
    x, y = (compared[m][held] - compared[m][learnt].mean(0) for m in ("rgb", "ir"))
    ways = {"rgb to ir": (x, y), "ir to rgb": (y, x)}
    every, by_day = np.arange(len(held)), np.flatnonzero(daylight[held] == 1)
    found = {name: find_twins(*way, every).recall(1) for name, way in ways.items()}
    found |= {f"{name}, day": find_twins(*way, by_day).recall(1) for name, way in ways.items()}
    for m, x in vectors.items():
        near, which = nearest(own[m], x - x[learnt].mean(0), learnt & (daylight >= 0), VOTES)
        weight = np.exp(near / TEMPERATURE)
        votes = [(weight * (daylight[which] == c)).sum(1) for c in (0, 1)]
        truth, right = daylight[held], np.argmax(votes, 0) == daylight[held]
        found[f"light, {m}"] = float(
            np.mean([right[truth == c].mean() for c in np.unique(truth[truth >= 0])])
        )
    return found


def labels(run: Path, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs were learnt from, and whether they are of the night 0, the day 1, or neither."""
    rows = {row.id: row for row in read_index(run).rows}
    kinds = {"night": 0, "day": 1}
    learnt = np.array([rows[i].split == "train" for i in ids])
    return learnt, np.array([kinds.get(rows[i]["daylight"], -1) for i in ids])


def chances(learnt: np.ndarray, daylight: np.ndarray) -> dict[str, float]:
    """What guesses reach."""
    held = 1 / int((~learnt).sum())
    classes = len(np.unique(daylight[~learnt & (daylight >= 0)]))
    ways = ("rgb to ir", "ir to rgb")
    by_way = {f"{way}{end}": held for end in ("", ", day") for way in ways}
    return by_way | {f"light, {m}": 1 / classes for m in ("rgb", "ir")}


def show(table: dict[str, dict[str, float]], learnt: np.ndarray, daylight: np.ndarray) -> None:
    """Print all shares with their limits."""
    held, by_day = int((~learnt).sum()), int((~learnt & (daylight == 1)).sum())
    judged = int((~learnt & (daylight >= 0)).sum())
    print(f"{learnt.sum()} pairs to learn from, {held} held out, {by_day} of these by day")
    columns = list(table["chance"])
    print(f"{'':14}" + "".join(f"{name:>20}" for name in columns))
    for name, found in table.items():
        cells = []
        for column in columns:
            count = judged if column.startswith("light") else held
            low, high = confidence(found[column], by_day if column.endswith("day") else count)
            cells.append(f"{found[column]:.3f} ({low:.2f}-{high:.2f})")
        print(f"{name:14}" + "".join(f"{cell:>20}" for cell in cells))
