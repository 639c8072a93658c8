"""Read the index that was frozen into a run directory, and compare it with the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.store import load_index
from hpctrain.index.table import File, Index
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
    rows = (row for row in index.rows if row.status == "ok")
    files = [
        file._replace(name=str(index.root / file.name)) for row in rows for file in row.files()
    ]
    compare_files(files, content, known)


def compare_files(
    files: Sequence[File], content: bool = False, known: dict[Path, Stamp] | None = None
) -> None:
    """Compare files with what was written down of them.

    Args:
        files: with paths that can be opened.
        content: see `verify_index`.
        known: see `verify_index`.

    Raises:
        DataError: see `verify_index`.
    """
    files = list(dict.fromkeys(files))  # samples may share some, as windows of a volume do
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        stamps = dict(zip(files, pool.map(_stamp, files), strict=True))
    known = {} if known is None else known
    suspects = {
        Path(file.name): file.sha256
        for file, stamp in stamps.items()
        if content or (stamp.mtime_ns != file.mtime_ns and stamp != known.get(Path(file.name)))
    }
    for path, digest in digests(list(suspects), logger.info, has_cache=not content).items():
        if digest != suspects[path]:
            raise DataError(
                f"{path}: content has changed since the job was rendered; restore the file or "
                "render the job again"
            )
    looked_at = ((Path(file.name), stamp) for file, stamp in stamps.items())
    known.update((path, stamp) for path, stamp in looked_at if path in suspects)


class Stamp(NamedTuple):
    """What tells that a file was changed."""

    size: int
    mtime_ns: int
    inode: int


def _stamp(file: File) -> Stamp:
    """Raises DataError when the file is missing or of another size."""
    try:
        status = os.stat(file.name)
    except OSError as e:
        raise DataError(
            f"{file.name}: cannot be read ({e.strerror}), and was there when the job was rendered; "
            "restore the file or render the job again"
        ) from e
    if status.st_size != file.size:
        raise DataError(
            f"{file.name}: {status.st_size} bytes, {file.size} when the job was rendered; "
            "restore the file or render the job again"
        )
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
