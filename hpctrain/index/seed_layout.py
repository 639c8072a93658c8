"""An index as text files, one a sample with a line a modality: pairs/<node>/<name>.txt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from posixpath import basename

from hpctrain.errors import DataError
from hpctrain.index.pairing.items import BAD
from hpctrain.index.pairing.listed import LIST, TEXT, canonical
from hpctrain.index.pairing.sources import fixed_part
from hpctrain.index.table import Index, Row


def list_files(index: Index, splits: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Path and text of each list.

    Lists that were read keep their path and their bytes. Others go to pairs/<node>/, those of bad
    samples that have all files to bad_pairs/<node>/; other bad samples have no list.

    Args:
        index: rows.
        splits: only samples of these; empty: all.

    Raises:
        DataError: two samples would have the same list.
    """
    bases = _bases(index)
    seen: dict[str, str] = {}
    for row in index.rows:
        if splits and row.split not in splits:
            continue
        path = _path(row)
        text = _text(row, bases)
        if not path or text is None:
            continue
        other = seen.setdefault(path, row.id)
        if other != row.id:
            raise DataError(f"{path}: would list both {other} and {row.id}; rename one of them")
        yield path, text


def write_lists(index: Index, folder: Path, splits: tuple[str, ...] = ()) -> int:
    """Write the lists below a folder; returns how many.

    Raises:
        DataError: a list is there already with another text; nothing was written then.
    """
    lists = dict(list_files(index, splits))
    for path, text in lists.items():
        if (folder / path).exists() and (folder / path).read_bytes() != text.encode():
            raise DataError(
                f"{folder / path}: is there already, with another text; nothing was written; "
                "export to an empty folder"
            )
    for path, text in lists.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
        temporary.write_bytes(text.encode())
        temporary.replace(target)
    return len(lists)


def _bases(index: Index) -> dict[str, str]:
    """Folder that the names of each modality are relative to."""
    rule = index.facts.get("rule", {}).get("modalities", {})
    bases = {}
    for name in index.columns.modalities:
        files = rule.get(name, {}).get("files", [f"{name}/*"])
        bases[name] = fixed_part(files[0] if isinstance(files, list) else files)
    return bases


def _path(row: Row) -> str:
    if LIST in row.columns.places and row[LIST]:
        return row[LIST]
    node = row["node"]
    stem = basename(row.id) if node else row.id.replace("/", "_")
    return f"{BAD if row.status == 'bad' else 'pairs/'}{node or 'all'}/{stem}.txt"


def _text(row: Row, bases: dict[str, str]) -> str | None:
    """What the list says; None where a sample lacks a file that no list ever named."""
    if TEXT in row.columns.places and row[TEXT]:
        return str(json.loads(row[TEXT]))
    names = []
    for modality, base in bases.items():
        path = row[modality].removeprefix(BAD)
        if not path:
            return None
        names.append(path.removeprefix(base))
    return canonical(names)
