"""All measures of one store, as one nested page of numbers; and maps of its points."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis.embeddings import classify, clusters, maps, pca, retrieval, spread
from hpctrain.analysis.embeddings.blocks import Array, Chosen, Vectors, sample_rows
from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.embeddings.folds import Folds, make_folds
from hpctrain.analysis.embeddings.moments import Moments, moments, stacked
from hpctrain.embed.store import Branch, Store
from hpctrain.evaluate.embeddings.choice import Choice
from hpctrain.evaluate.embeddings.columns import classes_of, days, pointings, usual_classes
from hpctrain.evaluate.embeddings.space import Parts, Space, encoders_of, parts_of, space_of

_AXES = 50
"""Principal components that clusters and maps are made of."""
_CLUSTER_AXES = 10
_FEWEST = 4
_PROJECTIONS = {"tsne": "t-SNE", "umap": "UMAP"}
_CONTROLS = 2000
"""Queries of what stands beside the number that counts."""
JOINT = "joint"
Say = Callable[[str], None]


@dataclass
class Measured:
    """What was found of a store."""

    numbers: dict[str, Any]
    labels: list[Labels]
    pca: dict[str, pca.Pca] = field(default_factory=dict)
    """Of each branch, and `joint` where they share a space."""
    shown: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows (M,) that maps and the page show."""
    places: dict[str, dict[str, Array]] = field(default_factory=dict)
    """Maps by name, of each branch (M, 2)."""
    clusters: dict[str, clusters.Clusters] = field(default_factory=dict)
    """k-means of each branch."""
    space: Space = field(default_factory=lambda: Space({}, ""))
    """Where modalities are compared."""
    held: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows that were not trained on."""


class Measures:
    """Takes measure after measure of one store."""

    def __init__(self, store: Store, choice: Choice, say: Say = lambda _: None) -> None:
        """Open it.

        Raises:
            DataError: it is not complete, or torn, of another table, or has fewer than 4 rows.
            ConfigError: a column that is no column of classes.
        """
        store.check_complete()
        store.check_rows()
        table = store.table
        self.store, self.choice, self._say = store, choice, say
        self.branches: dict[str, Branch] = {n: store.branch(n) for n in encoders_of(store)}
        self.space = space_of(store)
        self.compared = {m: store.branch(name) for m, name in self.space.branches.items()}
        self.labels = (
            [classes_of(table, name) for name in choice.columns]
            if choice.columns
            else usual_classes(table, store.num_rows)
        )
        self.groups = pointings(table)
        splits = table.column("split") if "split" in table.columns else None
        self.folds: Folds = make_folds(splits, days(table), choice.folds, store.num_rows)
        self.parts: Parts = parts_of(self.folds)
        self.seconds: dict[str, float] = {}

    def quick(self) -> dict[str, Any]:
        """Numbers that tell how a training goes: all but clusters and maps."""
        with self._timed("moments"):
            found = moments(self.branches)
        self.moments = found
        numbers: dict[str, Any] = {
            "rows": self.store.num_rows,
            "dims": self.store.dims,
            "of": self.store.facts,
            "retrieval_of": {"vectors": self.space.words, "rows": self.parts.words},
        }
        with self._timed("spread"):
            numbers["spread"] = {name: self._spread(found, name) for name in self.branches}
            numbers["pairs"] = self._pairs(found)
        with self._timed("retrieval"):
            numbers["retrieval"] = self._retrieval()
        numbers["classes"] = self._classes()
        return numbers

    def whole(self) -> Measured:
        """All of them."""
        numbers = self.quick()
        done = Measured(numbers, self.labels, space=self.space, held=self.parts.held)
        self._components(done)
        with self._timed("clusters"):
            self._clusters(done)
        with self._timed("map"):
            self._map(done)
        numbers["seconds"] = {name: round(value, 2) for name, value in self.seconds.items()}
        return done

    def _spread(self, found: Moments, name: str) -> dict[str, float]:
        deviations = found.deviations(name)
        return {
            "effective_rank": spread.effective_rank(found, name),
            "participation_ratio": spread.participation_ratio(found, name),
            "mean_deviation": float(deviations.mean()),
            "smallest_deviation": float(deviations.min()),
            "uniformity": spread.uniformity(self.branches[name]),
        }

    def _pairs(self, found: Moments) -> dict[str, float]:
        names = tuple(self.branches)
        if len(names) < 2:
            return {}
        numbers = {"linear_cka": spread.linear_cka(found, *names[:2])}
        if self.compared:
            held = self.parts.held
            numbers["alignment"] = spread.alignment(*(self._some(m, held) for m in self.compared))
        return numbers

    def _retrieval(self) -> dict[str, Any]:
        if not self.compared:
            return {"note": self.space.words}
        first, second = self.compared
        return {f"{a}_to_{b}": self._search(a, b) for a, b in ((first, second), (second, first))}

    def _search(self, first: str, second: str) -> dict[str, Any]:
        """One direction, and the controls: does it know more than where the camera points?"""
        self._say(f"searching {first} among {second}")
        held, seed = self.parts.held, self.choice.seed
        x, y = self._some(first, held), self._some(second, held)
        queries = sample_rows(len(held), self.choice.queries, seed)
        other = np.random.default_rng(seed).permutation(len(held))
        some = queries[sample_rows(len(queries), _CONTROLS, 1)]
        numbers = {
            "all": retrieval.find_twins(x, y, queries).numbers(),
            "shuffled": retrieval.find_twins(x, y, some, other[some]).numbers(),
        }
        if self.groups is not None:
            groups = self.groups[held]
            known = retrieval.only_groups(queries, groups)
            within = retrieval.find_within(x, y, queries, groups)
            numbers |= {"position_only": known.numbers(), "within_position": within.numbers()}
        learnt = self.parts.learnt
        if len(learnt):
            x, y = self._some(first, learnt), self._some(second, learnt)
            some = sample_rows(len(learnt), min(_CONTROLS, self.choice.queries), seed)
            numbers["trained_on"] = retrieval.find_twins(x, y, some).numbers()
        return numbers

    def _some(self, modality: str, rows: NDArray[np.int64]) -> Vectors:
        """Rows of a modality where it is compared; all are read from the file as they are."""
        own = self.compared[modality]
        return own if len(rows) == len(own) else Chosen(own, rows)

    def _classes(self) -> dict[str, Any]:
        """What can be told of each column; columns with equal gaps share neighbours."""
        numbers: dict[str, Any] = {}
        lists: dict[tuple[str, bytes], Any] = {}
        for labels in self.labels:
            self._say(f"telling {labels.name}")
            parts = classify.plans(labels, self.folds, self.choice.queries)
            own: dict[str, Any] = {
                "how": self.folds.how,
                "counts": _counts(labels),
                "too_small": classify.too_small(labels, self.folds),
            }
            if self.groups is not None and labels.name not in ("node", "position"):
                own["position_only"] = classify.by_group(labels, parts, self.groups)
            for name, branch in self.branches.items():
                key = name, (labels.codes >= 0).tobytes()
                with self._timed("neighbours"):
                    if key not in lists:
                        k = self.choice.neighbours
                        lists[key] = classify.neighbour_lists(branch, parts, k)
                    voted = classify.by_neighbours(labels, parts, lists[key])
                    chance = classify.by_neighbours(labels.shuffled(), parts, lists[key])
                with self._timed("probe"):
                    probed = classify.by_probe(branch, labels, parts)
                own[name] = {"knn": voted, "knn_shuffled": chance, "probe": probed}
            numbers[labels.name] = own
        return numbers

    def _components(self, done: Measured) -> None:
        for name in self.branches:
            done.pca[name] = pca.fit(self.moments, name, min(_AXES, self.store.dims[name]))
        if self.space.is_expanded:
            done.pca[JOINT] = pca.fit_sample(list(self.compared.values()), _AXES)
        elif self.compared:
            joint = stacked(self.moments)
            done.pca[JOINT] = pca.fit(joint, JOINT, min(_AXES, joint.dims[0]))
        done.numbers["pca"] = {
            name: {
                "shares": [float(s) for s in own.shares[:10]],
                "axes_for_90_percent": _axes_for(own.shares, 0.9),
                "axes_for_99_percent": _axes_for(own.shares, 0.99),
            }
            for name, own in done.pca.items()
        }

    def _clusters(self, done: Measured) -> None:
        numbers: dict[str, Any] = {}
        for name, branch in self.branches.items():
            self._say(f"clusters of {name}")
            points = done.pca[name].project(branch)
            found = clusters.k_means(points, seed=self.choice.seed)
            dense = clusters.hdbscan(points[:, :_CLUSTER_AXES], seed=self.choice.seed)
            done.clusters[name] = found
            numbers[name] = {
                own.method: {
                    "rows": len(own.rows),
                    "clusters": own.num_clusters,
                    **own.facts,
                    "against": {x.name: clusters.against(own, x) for x in self.labels},
                }
                for own in (found, dense)
            }
        done.numbers["clusters"] = numbers

    def _map(self, done: Measured) -> None:
        """Places of the shown rows: components of each branch, of both, and a map of both."""
        done.shown = self._shown()
        rows = {name: own[done.shown] for name, own in self.branches.items()}
        for name in self.branches:
            places = done.pca[name].project(rows[name])[:, :2]
            done.places[f"PCA of {name}"] = {name: places}
        if JOINT in done.pca:
            joint, title = done.pca[JOINT], f"both{self.space.title}"
            own = {name: joint.project(x[done.shown]) for name, x in self.compared.items()}
            done.places = {f"PCA of {title}": {n: x[:, :2] for n, x in own.items()}, **done.places}
            self._say(_PROJECTIONS[self.choice.projection])
            self._project(done, title, own)
        else:
            for name, x in rows.items():
                self._project(done, name, {name: done.pca[name].project(x)})

    def _project(self, done: Measured, what: str, points: Mapping[str, Array]) -> None:
        together = np.concatenate(list(points.values()))
        threads, seed = self.choice.threads, self.choice.seed
        if self.choice.projection == "umap":
            found = maps.u_map(together, seed=seed)
        else:
            found = maps.t_sne(together, threads=threads, seed=seed)
        if found is None:
            return
        title = f"{_PROJECTIONS[self.choice.projection]} of {what}"
        parts = np.split(found.places, len(points))
        done.places = {title: dict(zip(points, parts, strict=True)), **done.places}
        done.numbers.setdefault("map", {})[title] = {
            "points": len(together),
            "fitted": len(found.fitted),
            "kept_neighbours": maps.kept_neighbours(together, found.places),
        }

    def _shown(self) -> NDArray[np.int64]:
        """Those with thumbnails, and others where there is room."""
        own, most = self.store.shown(), min(self.choice.points, self.store.num_rows)
        if len(own) >= most:
            return own[sample_rows(len(own), most, self.choice.seed)]
        rest = np.setdiff1d(np.arange(self.store.num_rows), own)
        more = rest[sample_rows(len(rest), most - len(own), self.choice.seed)]
        return np.sort(np.concatenate([own, more]))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


def _counts(labels: Labels) -> dict[str, int]:
    counts = np.bincount(labels.codes[labels.codes >= 0], minlength=labels.num_classes)
    return dict(zip(labels.values, counts.tolist(), strict=True))


def _axes_for(shares: Array, part: float) -> int:
    """Axes that hold this part of the variance."""
    return int(np.searchsorted(np.cumsum(shares), part * shares.sum()) + 1) if len(shares) else 0
