"""Read the index that was frozen into a run directory, and compare it with the files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.store import load_index
from hpctrain.index.table import Index, Row
from hpctrain.log import logger


def read_index(run_dir: Path) -> Index:
    """The index of a run directory.

    Raises:
        DataError: missing, malformed, or altered since it was written.
    """
    return load_index(run_dir / "index.csv", "render the job again")


def verify_index(
    index: Index, content: bool = False, known: dict[Path, Stamp] | None = None
) -> None:
    """Compare the used files with their rows.

    Sizes always; the digest of a file whose time of change is another, or with `content` of all.

    Args:
        index: rows and where their files are.
        content: read all files, in threads.
        known: files that an earlier call has read, which are read again only if they were changed
            since; those that this one reads are added.

    Raises:
        DataError: the first file that is missing or not the one that was indexed.
    """
    files = [file for row in index.rows if row.status == "ok" for file in _files(index, row)]
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        stamps = dict(zip(files, pool.map(_stamp, files), strict=True))
    known = {} if known is None else known
    suspects = {
        file.path: file.sha256
        for file, stamp in stamps.items()
        if content or (stamp.mtime_ns != file.mtime_ns and stamp != known.get(file.path))
    }
    for path, digest in digests(list(suspects), logger.info, has_cache=not content).items():
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


def _files(index: Index, row: Row) -> Iterator[_File]:
    for file in row.files():
        yield _File(index.root / file.name, *file[1:])


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
