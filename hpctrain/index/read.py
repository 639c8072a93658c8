"""Read the index that was frozen into a run directory, and compare it with the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.table import SEPARATOR, Index, Row, parse_rows
from hpctrain.log import logger


def read_index(run_dir: Path) -> Index:
    """The index of a run directory.

    Raises:
        DataError: missing, malformed, or altered since it was written.
    """
    csv_path, json_path = run_dir / "index.csv", run_dir / "index.json"
    try:
        # newline="" keeps the bytes as they are, so that the digest is that of the file.
        with csv_path.open(newline="") as f:
            text = f.read()
        page = json.loads(json_path.read_text())
        rows, digest, root = parse_rows(text), page.pop("digest"), Path(page.pop("root"))
    except OSError as e:
        raise DataError(f"{e.filename}: cannot be read: {e.strerror}; render the job again") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{run_dir}: malformed index ({e}); render the job again") from e
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise DataError(
            f"{csv_path}: altered since it was written (its digest is not that of index.json); "
            "render the job again"
        )
    page.pop("counts", None)
    return Index(root, rows, page)


def verify_index(
    index: Index, content: bool = False, known: dict[Path, Stamp] | None = None
) -> None:
    """Compare the used files with their rows.

    Sizes always; the digest of a file whose time of change is another, or with `content` of all.

    Args:
        index: rows and where their files are.
        content: read all files.
        known: files that an earlier call has read, which are read again only if they were changed
            since; those that this one reads are added.

    Raises:
        DataError: the first file that is missing or not the one that was indexed.
    """
    files = [file for row in index.rows if row.status == "ok" for file in _files(index.root, row)]
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        stamps = dict(zip(files, pool.map(_stamp, files), strict=True))
    known = {} if known is None else known
    suspects = {
        file.path: file.sha256
        for file, stamp in stamps.items()
        if content or (stamp.mtime_ns != file.mtime_ns and stamp != known.get(file.path))
    }
    for path, digest in digests(list(suspects), logger.info).items():
        if digest != suspects[path]:
            raise DataError(
                f"{path}: content has changed since the job was rendered; restore the file or "
                "render the job again"
            )
    known.update((file.path, stamp) for file, stamp in stamps.items() if file.path in suspects)


class Stamp(NamedTuple):
    """What tells that a file was changed."""

    size: int
    mtime_ns: int
    inode: int


class _File(NamedTuple):
    path: Path
    size: int
    sha256: str
    mtime_ns: int


def _files(root: Path, row: Row) -> Iterator[_File]:
    for names, *cells in (
        (row.targets, row.target_size, row.target_sha256, row.target_mtime),
        (row.inputs, row.input_size, row.input_sha256, row.input_mtime),
    ):
        columns = (cell.split(SEPARATOR) for cell in cells)
        for name, size, digest, mtime in zip(names, *columns, strict=False):
            yield _File(root / name, int(size), digest, int(mtime))


def _stamp(file: _File) -> Stamp:
    """Raises DataError when the file is missing or of another size."""
    try:
        status = file.path.stat()
    except OSError as e:
        raise DataError(
            f"{file.path}: cannot be read ({e.strerror}), and was there when the job was rendered; "
            "restore the file or render the job again"
        ) from e
    if status.st_size != file.size:
        raise DataError(
            f"{file.path}: {status.st_size} bytes, {file.size} when the job was rendered; "
            "restore the file or render the job again"
        )
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
