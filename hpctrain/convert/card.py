"""The data card beside a store: where it comes from and what was done, for people and programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpctrain import __version__
from hpctrain.errors import DataError

CARD, PAGE = "DATA_CARD.md", "data_card.json"
SUMS, SOURCE_SUMS = "SHA256SUMS", "SOURCES.sha256"
SHOWN = 12
LICENCE_KEYS = ("license", "licence", "rights", "License", "Licence", "LICENSE")


def licence_of(given: str | None, attributes: Sequence[Mapping[str, Any]]) -> str:
    """The licence that was given, or that a source states of itself."""
    for table in attributes:
        for key in LICENCE_KEYS:
            if given is None and isinstance(table.get(key), str):
                return str(table[key])
    return given or "not stated"


def tree_digest(sums: Mapping[str, str]) -> str:
    """One digest of many files: of the lines `digest  name`, sorted by name."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_card(
    folder: Path, page: Mapping[str, Any], sources: Mapping[str, str], files: Mapping[str, str]
) -> None:
    """Write the card, the page for programs, and the digests.

    Args:
        folder: of the store.
        page: facts; `sources`, `files` and `tool` are added.
        sources: digest of each source file, by its path.
        files: digest of each file of the store, by its path in `folder`.
    """
    (folder / SOURCE_SUMS).write_text(_sum_lines(sources), encoding="utf-8")
    (folder / SUMS).write_text(_sum_lines(files), encoding="utf-8")
    listed = sorted([*files, SUMS, SOURCE_SUMS])
    whole = {
        "tool": f"hpctrain {__version__}",
        **page,
        "source_files": {"count": len(sources), "sha256": tree_digest(sources)},
        "files": {
            "count": len(files),
            "sha256": tree_digest(files),
            "sizes": {name: (folder / name).stat().st_size for name in listed},
        },
    }
    (folder / PAGE).write_text(_json(whole), encoding="utf-8")
    (folder / CARD).write_text(_text(whole), encoding="utf-8")


def _sum_lines(sums: Mapping[str, str]) -> str:
    """In the form that `sha256sum --check` reads, which marks names with odd characters."""
    lines = []
    for name, digest in sorted(sums.items()):
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"{chr(92) if escaped != name else ''}{digest}  {escaped}\n")
    return "".join(lines)


def read_page(folder: Path) -> dict[str, Any] | None:
    """The page for programs, or None where there is none."""
    try:
        page: dict[str, Any] = json.loads((folder / PAGE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return page


def update_card(folder: Path, page: Mapping[str, Any]) -> None:
    """Replace card and page by those of other facts; after a crash in between the page is the old.

    Args:
        folder: of a store that is complete.
        page: as `read_page` gave it, with other facts.
    """
    for name, text in ((CARD, _text(page)), (PAGE, _json(page))):
        temporary = folder / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)


def check_whole(folder: Path, page: Mapping[str, Any]) -> None:
    """Compare names and sizes of a store's files with those that were written.

    Raises:
        DataError: one is missing, or has another size.
    """
    for name, size in page["files"].get("sizes", {}).items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            what = "is missing" if found is None else f"has {found} bytes, {size} when written"
            raise DataError(f"{path}: {what}; restore it, or remove {folder} and convert again")


def _json(page: Mapping[str, Any]) -> str:
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def _text(page: Mapping[str, Any]) -> str:
    lines = ["# Data card", "", f"Converted by {page['tool']}.", "", "## Source", ""]
    lines += _some([f"- `{one['path']}`: {one['kind']}" for one in page["sources"]])
    found = page["source_files"]
    lines += [f"- {found['count']} files, digests in {SOURCE_SUMS}; of all: {found['sha256']}"]
    lines += ["", "## Content", ""]
    lines += _some(_array_texts(page["stored"].get("arrays", ())))
    rest = {k: v for k, v in page["stored"].items() if k != "arrays"}
    lines += [f"- {name}: {_words(value)}" for name, value in rest.items()]
    lines += ["", "## What was done", ""]
    nothing: tuple[Any, ...] = (None, [], False, [None, None, None])
    asked = {k: v for k, v in page["options"].items() if v not in nothing}
    lines += [f"- {name}: {_words(value)}" for name, value in asked.items()]
    lines += [f"- compared with the source, value by value: {'yes' if page['verified'] else 'no'}"]
    lines += ["", "## Licence", "", page["licence"], "", "## Digests", ""]
    lines += [f"Of {page['files']['count']} files in {SUMS} (`sha256sum --check {SUMS}`)", ""]
    return "\n".join(lines)


def _some(lines: list[str]) -> list[str]:
    """The first lines; the page for programs has all."""
    left = len(lines) - SHOWN
    return [*lines[:SHOWN], f"- and {left} more, see {PAGE}"] if left > 1 else lines


def _array_texts(arrays: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each array with its own channels and axes behind it, which are often those of the last."""
    texts: list[str] = []
    before: list[str] = []
    for array in arrays:
        own = _channel_lines(array)
        shown = ["  - channels and axes as above"] if own and own == before else own
        texts.append("\n".join([_array_line(array), *shown]))
        before = own
    return texts


def _array_line(array: Mapping[str, Any]) -> str:
    cells = " x ".join(map(str, array["shape"]))
    cut = f"; chunks {_words(array['chunk'])}" if "chunk" in array else ""
    return f"- `{array['name']}`: {cells} ({', '.join(array['axes'])}), {array['dtype']}{cut}"


def _channel_lines(array: Mapping[str, Any]) -> list[str]:
    lines = []
    for channel in array.get("channels", ()):
        unit = f" [{channel['units']}]" if channel.get("units") else ""
        lines.append(f"  - channel `{channel['name']}`{unit}")
    for axis, ends in array.get("coordinates", {}).items():
        lines.append(f"  - {axis}: {ends['first']:g} to {ends['last']:g}, {ends['cells']} cells")
    return lines


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join("all" if v is None else _words(v) for v in value)
    return str(value)
