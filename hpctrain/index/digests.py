"""sha256 of files, computed in threads and cached across runs."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.log import logger
from hpctrain.provenance.digest import digest_of

ANNOUNCED_BYTES = 1 << 30
"""Reading more than this is said beforehand."""
Entry = list[object]


def cache_path() -> Path:
    """Where digests are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hpctrain" / "digests.json"


def sha256_of(path: Path) -> str:
    """Digest of one file, in hexadecimal."""
    try:
        return digest_of(path)
    except OSError as e:
        raise _unreadable(path, e) from e


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {error.strerror or error}")


def digests(
    paths: Sequence[Path],
    progress: Callable[[str], None] | None = None,
    has_cache: bool = True,
) -> dict[Path, str]:
    """sha256 of each file; one that is unchanged since it was cached is not read again.

    Args:
        paths: files.
        progress: called with a line when many bytes are to be read.
        has_cache: False: read all of them whatever is known.
    """
    cache = _load(cache_path()) if has_cache else {}
    stamps = {path: _stamp(path) for path in paths}
    known = {
        path: str(entry[-1])
        for path, stamp in stamps.items()
        if (entry := cache.get(str(path))) and entry[:-1] == stamp
    }
    missing = [path for path in stamps if path not in known]
    num_bytes = sum(stamps[path][0] for path in missing)
    if progress and num_bytes > ANNOUNCED_BYTES:
        progress(f"reading {num_bytes / 1e9:.1f} GB once to fingerprint {len(missing)} files")
    # hashlib releases the interpreter lock, so threads use all cores and hide a slow disk.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        fresh = dict(zip(missing, pool.map(sha256_of, missing), strict=True))
    if fresh:
        _save(cache_path(), {str(p): [*stamps[p], digest] for p, digest in fresh.items()})
    return known | fresh


def _stamp(path: Path) -> list[int]:
    """Size, time of change and inode."""
    try:
        status = path.stat()
    except OSError as e:
        raise _unreadable(path, e) from e
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _load(path: Path) -> dict[str, Entry]:
    """The cache; anything wrong with it only means that files are read again."""
    try:
        table = json.loads(path.read_text())
        return {k: v for k, v in table.items() if isinstance(v, list) and len(v) == 4}
    except (OSError, ValueError, AttributeError):
        return {}


def _save(path: Path, fresh: dict[str, Entry]) -> None:
    """Merge into the cache under a temporary name, so that a reader never sees half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".digests-")
        with os.fdopen(handle, "w") as f:
            json.dump(_load(path) | fresh, f, indent=0)
        Path(temporary).replace(path)
    except OSError as e:
        logger.debug("digests are not cached: %s", e)
