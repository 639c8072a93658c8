"""Numbers of an evaluation as lines of a CSV, and as tables of the page."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_KINDS = {
    "all": "among all",
    "within_position": "within one pointing",
    "position_only": "pointing known, nothing else",
    "shuffled": "shuffled pairs",
    "trained_on": "among pairs trained on",
}


def flat(page: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names such as `spread.rgb.effective_rank`, and their values."""
    if isinstance(page, Mapping):
        for key, value in page.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(page, list | tuple):
        for i, value in enumerate(page):
            yield from flat(value, f"{name}[{i}]")
    else:
        yield name, page


def write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write lines as a whole; None is an empty cell."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    part.replace(path)


def page_tables(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables of the page."""
    found = [_retrieval(numbers), _classes(numbers), _spread(numbers), _clusters(numbers)]
    return [table for table in found if table["rows"]]


def _retrieval(numbers: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for direction, kinds in numbers["retrieval"].items():
        for kind, text in _KINDS.items():
            own = kinds.get(kind, {}) if isinstance(kinds, Mapping) else {}
            if own.get("queries"):
                name = f"{direction.replace('_to_', ' → ')}, {text}"
                values = (own["r@1"], own["r@1_chance"], own["r@5"], own["r@5_chance"])
                ranks = (f"{own['median_rank']:g}", f"{own['median_rank_chance']:g}")
                rows.append([name, *map(percent, values), *ranks, f"{own['queries']}"])
    of = numbers["retrieval_of"]
    return {
        "title": "Finding the twin in the other modality",
        "head": ["", "R@1", "by chance", "R@5", "by chance", "median rank", "by chance", "queries"],
        "rows": rows,
        "note": f"Compared are {of['vectors']}; searched for, and among: {of['rows']}. "
        "An encoder that learnt only where the camera points finds no more among all than "
        "the line “pointing known, nothing else”, and within one pointing what chance finds.",
    }


def _classes(numbers: Mapping[str, Any]) -> dict[str, Any]:
    rows, small = [], []
    for column, own in numbers["classes"].items():
        for branch, kinds in own.items():
            if not isinstance(kinds, Mapping) or "knn" not in kinds or not kinds["knn"]["judged"]:
                continue
            pointing = own.get("position_only", {}).get("accuracy")
            knn, probe, chance = (kinds[key] for key in ("knn", "probe", "knn_shuffled"))
            values = (
                *(knn["accuracy"], knn["balanced_accuracy"], probe["accuracy"]),
                *(knn["most_frequent"], chance["accuracy"], pointing),
            )
            rows.append([f"{column}, {branch}", *map(percent, values), str(knn["judged"])])
        if own["too_small"]:
            small.append(f"{column}: {', '.join(own['too_small'][:8])}")
    how = next((own["how"] for own in numbers["classes"].values()), "")
    note = f"{how}. Classes too small to be judged fairly: {'; '.join(small)}." if small else how
    return {
        "title": "Telling columns of the index",
        "head": ["", "kNN", "mean over classes", "linear probe", "most frequent class"]
        + ["shuffled classes", "pointing alone", "judged"],
        "rows": rows,
        "note": note,
    }


def _spread(numbers: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for branch, own in numbers["spread"].items():
        axes = numbers.get("pca", {}).get(branch, {}).get("axes_for_90_percent", "")
        keys = ("effective_rank", "participation_ratio", "mean_deviation", "uniformity")
        rows.append([branch, *(f"{own[key]:.4g}" for key in keys), str(axes)])
    pairs = numbers["pairs"]
    words = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in pairs.items()]
    return {
        "title": "How embeddings fill their space",
        "head": ["", "effective rank", "participation ratio", "mean deviation", "uniformity"]
        + ["axes for 90 %"],
        "rows": rows,
        "note": f"Of the pairs: {', '.join(words)}." if words else "",
    }


def _clusters(numbers: Mapping[str, Any]) -> dict[str, Any]:
    rows, columns = [], list(numbers["classes"])
    for branch, methods in numbers.get("clusters", {}).items():
        for method, own in methods.items():
            score = own["silhouette"]
            line = [f"{branch}, {method}", str(own["rows"]), str(own["clusters"])]
            line.append("–" if score is None else f"{score:.3f}")
            line += [_number(own["against"].get(c, {}).get("nmi")) for c in columns]
            rows.append(line)
    return {
        "title": "Clusters, and what they have to do with columns (NMI)",
        "head": ["", "rows", "clusters", "silhouette", *columns],
        "rows": rows,
        "note": "",
    }


def percent(value: float | None) -> str:
    """Of a share."""
    if value is None:
        return "–"
    return f"{100 * value:.3g} %" if value < 0.1 else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
