"""Numbers of several checkpoints of one run: a table and a figure over the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpctrain.analysis.embeddings.figures import evolution
from hpctrain.embed.store import Store
from hpctrain.evaluate.embeddings.choice import Choice
from hpctrain.evaluate.embeddings.drawn import save
from hpctrain.evaluate.embeddings.measure import Measures
from hpctrain.evaluate.embeddings.tables import flat, write_csv
from hpctrain.provenance import Stamp, embed
from hpctrain.train.json_file import write_json

NAME = "evolution"
_PANELS = {
    "R@1": ("retrieval.", ".all.r@1"),
    "R@1 of pairs trained on": ("retrieval.", ".trained_on.r@1"),
    "R@1 within one pointing": ("retrieval.", ".within_position.r@1"),
    "kNN accuracy": ("classes.", ".knn.accuracy"),
    "linear probe": ("classes.", ".probe.accuracy"),
    "effective rank": ("spread.", ".effective_rank"),
    "uniformity": ("spread.", ".uniformity"),
    "pairs": ("pairs.", ""),
}


def write_evolution(
    stores: Sequence[Path],
    out: Path,
    choice: Choice,
    stamp: Stamp,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Measure each store, and write `evolution.json`, `.csv` and `.png`; returns the figure.

    Args:
        stores: by step.
        out: folder to write into.
        choice: what is asked for.
        stamp: of the newest.
        say: takes a line a stage.
    """
    found: list[dict[str, Any]] = []
    for folder in stores:
        say(f"evolution: {folder.name}")
        store = Store.open(folder)
        facts = store.facts
        lines = dict(flat(Measures(store, choice).quick()))
        head = {key: facts.get(key) for key in ("checkpoint", "epoch", "global_step")}
        found.append({"store": folder.name, **head, **lines})
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{NAME}.json", {"checkpoints": found})
    names = list(dict.fromkeys(name for line in found for name in line))
    rows = [[line.get(name) for name in names] for line in found]
    write_csv(out / f"{NAME}.csv", names, rows)
    for suffix in ("json", "csv"):
        embed(out / f"{NAME}.{suffix}", stamp)
    steps = [line["global_step"] for line in found]
    is_known = all(step is not None for step in steps)
    axis = steps if is_known else list(range(len(found)))
    figure = evolution(axis, curves_of(found), "step" if is_known else "checkpoint")
    return save(figure, out / f"{NAME}.png", stamp)


def curves_of(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float | None]]]:
    """Which numbers are drawn, by panel and name."""
    panels: dict[str, dict[str, list[float | None]]] = {}
    for title, (head, tail) in _PANELS.items():
        names = [name for name in found[-1] if name.startswith(head) and name.endswith(tail)]
        if names:
            panels[title] = {
                name[len(head) : len(name) - len(tail)].replace("_to_", " → "): [
                    line.get(name) for line in found
                ]
                for name in names
            }
    return panels
