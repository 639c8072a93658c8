"""`hpctrain evaluate` for embeddings: numbers, figures and one page of each store."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain import __version__
from hpctrain.analysis.embeddings.blocks import Array
from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.embeddings.page import Content, write_page
from hpctrain.analysis.embeddings.tiles import write_tiles
from hpctrain.embed.store import PAGE, Store, is_store
from hpctrain.errors import CheckpointError, ConfigError, DataError, ProvenanceError
from hpctrain.evaluate.embeddings.attention import draw_attention
from hpctrain.evaluate.embeddings.choice import Choice
from hpctrain.evaluate.embeddings.drawn import draw_all
from hpctrain.evaluate.embeddings.evolution import write_evolution
from hpctrain.evaluate.embeddings.measure import Measured, Measures
from hpctrain.evaluate.embeddings.tables import flat, page_tables, percent, write_csv
from hpctrain.provenance import Stamp, embed
from hpctrain.provenance.files import read
from hpctrain.train.json_file import write_json

STORES = "embeddings"
"""Folder of a run that holds a store for each embedded checkpoint."""
_MOST_IDS = 80
"""Characters of an id on the page."""
Say = Callable[[str], None]


def evaluate(place: Path, choice: Choice, say: Say = lambda _: None) -> list[Path]:
    """Evaluate a store, or the stores of a run.

    Of several stores the one of the latest step is evaluated whole; of all of them some numbers
    are put together over the steps.

    Args:
        place: a store, or a run directory.
        choice: what is asked for.
        say: takes a line a stage.

    Returns:
        What to look at: the page, and of several stores the figure of the evolution.

    Raises:
        ConfigError: there is no store, a column does not fit, or UMAP is asked for and not there.
        DataError: a store is not complete, or torn.
    """
    if choice.projection == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "--projection umap: umap-learn is not installed; pip install 'hpctrain[umap]', or "
            "leave the option out for t-SNE"
        )
    if is_store(place):
        return [evaluate_store(place, place / "evaluation", choice, say)]
    stores = stores_of(place)
    out = place / "eval" / STORES
    newest = stores[-1]
    pages = [evaluate_store(newest, out / newest.name, choice, say, run_dir=place)]
    if len(stores) > 1:
        pages.append(write_evolution(stores, out, choice, stamp_of(newest), say))
    return pages


def stores_of(run_dir: Path) -> list[Path]:
    """Stores of a run by step.

    Raises:
        ConfigError: there is none.
    """
    found = [path for path in sorted((run_dir / STORES).glob("*")) if is_store(path)]
    if not found:
        raise ConfigError(
            f"{run_dir}: holds no embeddings; make them first with: hpctrain embed {run_dir}"
        )
    return sorted(found, key=lambda path: Store.open(path).facts.get("global_step") or 0)


def evaluate_store(
    folder: Path,
    out: Path,
    choice: Choice,
    say: Say = lambda _: None,
    *,
    run_dir: Path | None = None,
) -> Path:
    """Evaluate one store; returns the page.

    Args:
        folder: the store.
        out: folder to write into.
        choice: what is asked for.
        say: takes a line a stage.
        run_dir: whose encoders' attention is drawn; None: of none.
    """
    store, stamp = Store.open(folder), stamp_of(folder)
    done = Measures(store, choice, say).whole()
    (out / "tiles").mkdir(parents=True, exist_ok=True)
    _write_numbers(out, done, stamp)
    say("figures")
    drawn = draw_all(store, done, out, stamp)
    if run_dir is not None and choice.attention:
        say("attention")
        drawn += _attention(run_dir, store, out, stamp, choice.attention, say)
    page = out / "index.html"
    write_page(page, _content(store, done, drawn, out))
    embed(page, stamp)
    return page


def _attention(
    run_dir: Path, store: Store, out: Path, stamp: Stamp, count: int, say: Say
) -> list[tuple[str, Path]]:
    """Sheets of attention; none, and a line that says why, where pictures or weights are gone."""
    try:
        return draw_attention(run_dir, store, out, stamp, count, say)
    except (CheckpointError, DataError) as e:
        say(f"no attention is drawn: {e}")
        return []


def stamp_of(folder: Path) -> Stamp:
    """Stamp of what is made of a store: the store's own."""
    try:
        found = read(folder / PAGE).stamp
    except ProvenanceError:
        found = Stamp("evaluation", __version__)
    return replace(found, product="evaluation")


def _write_numbers(out: Path, done: Measured, stamp: Stamp) -> None:
    write_json(out / "numbers.json", done.numbers)
    embed(out / "numbers.json", stamp)
    write_csv(out / "numbers.csv", ("name", "value"), list(flat(done.numbers)))
    embed(out / "numbers.csv", stamp)
    maps: dict[str, Any] = {"rows": done.shown, **_arrays(done.places)}
    np.savez(out / "maps.npz", **maps)
    embed(out / "maps.npz", stamp)


def _arrays(places: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    return {
        f"{name}/{branch}": own for name, part in places.items() for branch, own in part.items()
    }


def _content(store: Store, done: Measured, drawn: list[tuple[str, Path]], out: Path) -> Content:
    ids = store.table.column("id")
    labels = [Labels(x.name, x.codes[done.shown], x.values) for x in done.labels]
    for name, own in done.clusters.items():
        values = tuple(str(i) for i in range(int(own.codes.max()) + 1))
        labels.append(Labels(f"k-means of {name}", own.codes[done.shown], values))
    return Content(
        title=_title(store),
        sentence=_sentence(store, done.numbers),
        ids=[ids[row][-_MOST_IDS:] for row in done.shown],
        maps=done.places,
        labels=labels,
        tables=page_tables(done.numbers),
        figures=drawn,
        tiles=_tiles(store, done, out / "tiles"),
    )


def _tiles(store: Store, done: Measured, folder: Path) -> dict[str, Any]:
    """Sheets of thumbnails of the shown rows."""
    shown = store.shown()
    if not len(shown):
        return {}
    at = np.minimum(np.searchsorted(shown, done.shown), len(shown) - 1)
    chosen = np.where(shown[at] == done.shown, at, -1)
    thumbs = {name: own for name in store.dims if (own := store.thumbs(name)) is not None}
    return {name: write_tiles(folder, name, own, chosen) for name, own in thumbs.items()}


def _title(store: Store) -> str:
    run, checkpoint = store.facts.get("run"), store.facts.get("checkpoint")
    return " · ".join(str(part) for part in (run, checkpoint) if part) or store.folder.name


def _sentence(store: Store, numbers: Mapping[str, Any]) -> str:
    dims = ", ".join(f"{name} {dim}" for name, dim in store.dims.items())
    words = [f"{store.num_rows} pairs; dimensions: {dims}"]
    of = numbers["retrieval_of"]
    if "note" in numbers["retrieval"]:
        words.append(f"modalities are not compared: {of['vectors']}")
    else:
        words.append(f"compared: {of['vectors']}, {of['rows']}")
    for direction, kinds in numbers["retrieval"].items():
        if isinstance(kinds, Mapping) and kinds["all"]["queries"]:
            own = kinds["all"]
            words.append(
                f"{direction.replace('_to_', ' → ')}: R@1 {percent(own['r@1'])} "
                f"(chance {percent(own['r@1_chance'])})"
            )
    return "; ".join(words) + "."
