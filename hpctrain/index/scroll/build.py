"""Build the index of volumes: find, split by regions, check that windows fit, fingerprint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.fields.build import root_of
from hpctrain.index.scroll.split import Part, split_volumes
from hpctrain.index.scroll.volumes import PICTURES, Volume, find_sources, find_volume
from hpctrain.index.table import SEPARATOR, Columns, Index, Row, tool_facts
from hpctrain.index.windows.place import AXES, COLUMNS

if TYPE_CHECKING:
    from hpctrain.config.scroll_data import Scroll

SHOWN = 5
OWN = ("source", "array", "layout", "box")
"""Columns beside the place: path of the volume, its array, how its files lie, number of the box."""
SCROLL = Columns(("volume", *PICTURES), (*COLUMNS, *OWN))
"""Columns of the index; z to width are the cells that the split may use, or those of the files."""
_MOST_FILES, _MOST_TEXT = 1000, 100_000
"""Of a row, so that no cell is longer than readers of CSV take."""


def build_scroll_index(
    scroll: Scroll, cwd: Path, progress: Callable[[str], None] | None = None
) -> Index:
    """Find the volumes of a `data:` block, split them and take digests of the files that are used.

    Args:
        scroll: the block.
        cwd: folder that a relative `data.root` starts from.
        progress: called with a line before many bytes are read.

    Returns:
        The index, with a row for each box of cells and each thousand files of it; the same files
        give the same bytes.

    Raises:
        DataError: anything that would stop the training or let it see what it is validated on.
    """
    root = root_of(scroll, cwd)
    rows = scroll_rows(scroll, root)
    names = sorted({name for row in rows for m in SCROLL.modalities for name in row.paths(m)})
    found = digests([root / name for name in names], progress)
    stamps = {path.relative_to(root).as_posix(): digest for path, digest in found.items()}
    rows = [_stamped(row, root, stamps) for row in rows]
    _check_copies(rows)
    return Index(root, tuple(rows), {"rule": _rule(scroll), **tool_facts()}, SCROLL)


def scroll_rows(scroll: Scroll, root: Path) -> list[Row]:
    """Rows with their files, places and splits, without sizes and digests.

    Raises:
        DataError: see `build_scroll_index`.
    """
    return [row for part in find_parts(scroll, root) for row in part_rows(part)]


def find_parts(scroll: Scroll, root: Path) -> Iterator[Part]:
    """The parts of all volumes with their splits, from names and headers alone.

    Raises:
        DataError: see `build_scroll_index`; all bad volumes are named at once.
    """
    held = find_sources(root, scroll.validation.volumes, "validation.volumes")
    used = find_sources(root, scroll.volumes, "volumes")
    trained = [source for source in used if source not in held]
    if not trained:
        raise DataError("data.validation.volumes: holds all volumes; leave one to train on")

    def find(source: str) -> Volume | DataError:
        try:
            return find_volume(root, source, scroll)
        except DataError as e:
            return e

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(find, [*trained, *held]))
    bad = [str(one) for one in found if isinstance(one, DataError)]
    if bad:
        more = f"\nand {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError("\n".join(bad[:SHOWN]) + more)
    volumes = [one for one in found if isinstance(one, Volume)]
    count = len(trained)
    cut = volumes[:count] if scroll.validation.held_out else []
    for own in (volumes[:count], [*cut, *volumes[count:]]):  # of training and validation
        check_labels(scroll, own)
    yield from split_volumes(scroll, volumes[:count], volumes[count:])


def check_labels(scroll: Scroll, volumes: Sequence[Volume]) -> None:
    """Refuse labels of some volumes alone.

    Raises:
        DataError: names the first without.
    """
    without = [volume.source for volume in volumes if not volume.has_labels]
    if without and len(without) < len(volumes):
        raise DataError(
            f"data.labels: {without[0]} has no {scroll.labels!r}, and other volumes have; "
            "label all of them, leave it out, or give labels: null"
        )


def part_rows(part: Part) -> Iterator[Row]:
    """The rows of one box of cells; layers outside of it are not among its files."""
    volume, box = part.volume, part.box
    is_layers = volume.layout == "layers"
    files = volume.files[box.start[0] : box.stop[0]] if is_layers else volume.files
    longest = max(map(len, files)) + 1
    count = max(1, min(_MOST_FILES, _MOST_TEXT // longest))
    name = f"{volume.source}/{part.split}" + (f"_{part.number}" if part.number else "")
    for first in range(0, len(files), count):
        own = files[first : first + count]
        place = {a: str(n) for a, n in zip(AXES, box.start, strict=True)}
        place |= {a: str(n) for a, n in zip(AXES.values(), box.size, strict=True)}
        if is_layers:
            place |= {"z": str(box.start[0] + first), "depth": str(len(own))}
        yield Row.make(
            SCROLL,
            id=name + (f"/{first:06d}" if len(files) > count else ""),
            split=part.split,
            volume=SEPARATOR.join(own),
            **volume.pictures,
            **place,
            source=volume.source,
            array=volume.array,
            layout=volume.layout,
            box=str(part.number),
        )


def _stamped(row: Row, root: Path, stamps: dict[str, str]) -> Row:
    """The row with sizes, digests and times of change in nanoseconds."""
    values: dict[str, str] = {}
    for modality in SCROLL.modalities:
        names = row.paths(modality)
        try:
            status = [(root / name).stat() for name in names]
        except OSError as e:
            raise DataError(f"{e.filename}: cannot be read: {e.strerror}") from e
        values[f"{modality}_size"] = SEPARATOR.join(str(s.st_size) for s in status)
        values[f"{modality}_mtime"] = SEPARATOR.join(str(s.st_mtime_ns) for s in status)
        values[f"{modality}_sha256"] = SEPARATOR.join(stamps[name] for name in names)
    return row.replace(**values)


def _check_copies(rows: list[Row]) -> None:
    """Refuse a volume to validate on of which a copy is trained on, under another name."""
    trained = {row["volume_sha256"]: row["source"] for row in rows if row.split == "train"}
    for row in rows:
        other = trained.get(row["volume_sha256"])
        if row.split == "validation" and other is not None and other != row["source"]:
            raise DataError(
                f"{row['source']}: is to validate on, but has the same content as {other}, which "
                "is trained on; leave one of them out"
            )
    _check_layers(rows)


def _check_layers(rows: list[Row]) -> None:
    """Refuse layers to validate on of which copies, in another volume, are trained on.

    Layers that a volume has several times, such as empty ones, say nothing; nor does a single one
    that two volumes share, which may be empty in both.
    """
    known: dict[str, set[str]] = {}
    for source, digest, _ in _own_layers(rows, "train"):
        known.setdefault(digest, set()).add(source)
    shared: dict[tuple[str, str], set[str]] = {}
    for source, digest, name in _own_layers(rows, "validation"):
        for other in known.get(digest, set()) - {source}:
            shared.setdefault((source, other), set()).add(name)
    for (_, other), names in sorted(shared.items()):
        if len(names) > 1:
            raise DataError(
                f"{max(names)}: is to validate on, but {other}, which is trained on, has a layer "
                f"of the same content, and {len(names) - 1} more; leave one of the volumes out, or "
                "cut both at the same layer"
            )


def _own_layers(rows: list[Row], split: str) -> Iterator[tuple[str, str, str]]:
    """Source, digest and name of the layers of a split that their volume has once."""
    layers: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["layout"] == "layers":
            own = layers.setdefault(row["source"], {})
            own.update(zip(row.paths("volume"), row["volume_sha256"].split(SEPARATOR), strict=True))
    counts = {source: Counter(own.values()) for source, own in layers.items()}
    for row in rows:
        if row["layout"] == "layers" and row.split == split:
            for name in row.paths("volume"):
                digest = layers[row["source"]][name]
                if counts[row["source"]][digest] == 1:
                    yield row["source"], digest, name


def _rule(scroll: Scroll) -> dict[str, Any]:
    names = {"volumes", "array", "sample", "window", "layers", "rows", "columns", "validation"}
    rule = scroll.model_dump(mode="json", include=names)
    return {"kind": scroll.kind, **rule}
