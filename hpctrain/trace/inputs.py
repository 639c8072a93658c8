"""Input files as a frozen index lists them, and as they are now.

Every column NAME of index.csv that has NAME_size, NAME_sha256 and NAME_mtime beside it lists
files, several of them joined by `|`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.provenance.digest import digest_of

_SEPARATOR = "|"
_SUFFIXES = ("_size", "_sha256", "_mtime")
_TOLD_BYTES = 1 << 30


@dataclass(frozen=True)
class InputFile:
    """One file that a run reads; `name` is relative to the index's root."""

    name: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Inputs:
    """What a frozen index lists."""

    root: Path
    files: tuple[InputFile, ...]
    num_rows: int


def read_inputs(index_csv: str, index_json: str) -> Inputs:
    """The files of the rows that are used, each once, in order.

    Raises:
        DataError: the texts are no index.
    """
    try:
        root = Path(json.loads(index_json)["root"])
        csv.field_size_limit(2**31 - 1)  # digests of thousands of layers may be one cell
        reader = csv.DictReader(io.StringIO(index_csv))
        names = [
            column
            for column in reader.fieldnames or ()
            if all(f"{column}{suffix}" in (reader.fieldnames or ()) for suffix in _SUFFIXES)
        ]
        rows = [row for row in reader if row.get("status", "ok") == "ok"]
        files = {file.name: file for row in rows for name in names for file in _files(row, name)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as e:
        raise DataError(f"index.csv: malformed ({e})") from e
    return Inputs(root, tuple(files.values()), len(rows))


def _files(row: dict[str, str], column: str) -> Iterator[InputFile]:
    if not row[column]:
        return
    cells = (row[column + suffix].split(_SEPARATOR) for suffix in _SUFFIXES)
    for name, size, sha256, mtime in zip(row[column].split(_SEPARATOR), *cells, strict=True):
        yield InputFile(name, int(size), sha256, int(mtime))


def differences(
    inputs: Inputs, has_content: bool, tell: Callable[[str], None] = lambda line: None
) -> list[tuple[str, str]]:
    """Files that are not as they were indexed, each with what is different.

    A file of the same size that was written since is read: its content decides.

    Args:
        inputs: the files.
        has_content: read all files.
        tell: is told before much is read.
    """
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        first = list(pool.map(lambda file: _look(inputs.root, file, has_content), inputs.files))
        suspects = [
            file for file, found in zip(inputs.files, first, strict=True) if found == "read"
        ]
        num_bytes = sum(file.size for file in suspects)
        if num_bytes > _TOLD_BYTES:
            tell(f"reading {num_bytes / 1e9:.1f} GB to compare {len(suspects)} files")
        content = dict(zip(suspects, pool.map(lambda f: _read(inputs.root, f), suspects)))  # noqa: B905
    results = (
        content.get(file, found) if found == "read" else found
        for file, found in zip(inputs.files, first, strict=True)
    )
    named: Sequence[tuple[InputFile, str]] = list(zip(inputs.files, results, strict=True))
    return [(file.name, found) for file, found in named if found]


def _look(root: Path, file: InputFile, has_content: bool) -> str:
    """What differs as far as size and time tell; `read` if only the content can tell."""
    try:
        status = (root / file.name).stat()
    except OSError as e:
        return f"missing ({e.strerror})"
    if status.st_size != file.size:
        return f"changed: {status.st_size} bytes, were {file.size}"
    return "read" if has_content or status.st_mtime_ns != file.mtime_ns else ""


def _read(root: Path, file: InputFile) -> str:
    try:
        found = digest_of(root / file.name)
    except OSError as e:
        return f"missing ({e.strerror})"
    return "" if found == file.sha256 else f"changed: sha256 {found[:16]}, was {file.sha256[:16]}"
