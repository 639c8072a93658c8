"""What the cache of layers holds, since when nobody wants it, and how it goes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.container.cache import Cache

DAYS = 30.0
"""Layers that were not used for longer than this serve nobody, unless people say otherwise."""

_DAY_S = 86400.0
_NAME = re.compile(r"([0-9a-f]{16})\.(?:sif|log|lock|json|use|part\d+\.sif)")
_HALF = re.compile(r"[0-9a-f]{16}\.part\d+\.sif")
_LOCKS = (".use", ".lock")
_OF_USE = ("log", "lock", "json", "use")


@dataclass(frozen=True)
class Kept:
    """A layer in the cache, or what a build of it has left there.

    Attributes:
        digest: of the layer.
        layer: its name; empty: not known.
        image: file for which it was used last; empty: not known.
        size: bytes of all its files.
        used: time of its last use, in seconds.
        is_whole: whether there is an image of it; else there is half of one, or a log alone.
        half_size: bytes of it that are half an image, of a build that is at work or was killed.
    """

    digest: str
    layer: str
    image: str
    size: int
    used: float
    is_whole: bool
    half_size: int

    def days(self, now: float | None = None) -> float:
        """How long it was not used."""
        return max(0.0, ((time.time() if now is None else now) - self.used) / _DAY_S)


def note_use(cache: Cache, digest: str, layer: str, image: Path) -> None:
    """Write down what a layer is, and that it is used now."""
    with contextlib.suppress(OSError):  # no build fails for it
        cache.record(digest).write_text(json.dumps({"layer": layer, "image": str(image)}))


def survey(cache: Cache) -> list[Kept]:
    """All that is kept, what was used last first; other people's files are none of it."""
    files: dict[str, list[Path]] = {}
    if cache.folder.is_dir():
        for path in cache.folder.iterdir():
            if match := _NAME.fullmatch(path.name):
                files.setdefault(match[1], []).append(path)
    found = [_kept(cache, digest, own) for digest, own in files.items()]
    return sorted(
        (one for one in found if one is not None), key=lambda one: (-one.used, one.digest)
    )


def _kept(cache: Cache, digest: str, files: Sequence[Path]) -> Kept | None:
    """None: it went while it was looked at, or is a lock alone, which goes as well."""
    stats: dict[str, os.stat_result] = {}
    for path in files:
        try:
            stats[path.name] = path.stat()
        except FileNotFoundError:
            continue
    telling = {name: stat for name, stat in stats.items() if not name.endswith(_LOCKS)}
    if not telling:
        _remove_locks(cache, digest)
        return None
    image, record = cache.image(digest).name, cache.record(digest).name
    # caches of before there were records: an image was used when it was built, at least
    last = stats.get(record) or max(telling.values(), key=lambda stat: stat.st_mtime)
    page = _read(cache.record(digest))
    return Kept(
        digest=digest,
        layer=page.get("layer", ""),
        image=page.get("image", ""),
        size=sum(stat.st_size for stat in stats.values()),
        used=last.st_mtime,
        is_whole=image in stats,
        half_size=sum(stat.st_size for name, stat in stats.items() if _HALF.fullmatch(name)),
    )


def _remove_locks(cache: Cache, digest: str) -> None:
    """Of a layer that no build came to, unless one still may."""
    with contextlib.suppress(OSError), cache.unused(digest) as is_free:
        if is_free:
            for suffix in _LOCKS:
                cache.user(digest).with_suffix(suffix).unlink(missing_ok=True)


def _read(record: Path) -> dict[str, str]:
    try:
        page = json.loads(record.read_text())
        return {name: value for name, value in page.items() if isinstance(value, str)}
    except (OSError, ValueError, AttributeError):
        return {}


def removable(cache: Cache, one: Kept, *, is_whole: bool) -> int | None:
    """Bytes that `remove` would make free; None: a build uses the layer."""
    if cache.user(one.digest).exists():
        with cache.unused(one.digest) as is_free:
            if not is_free:
                return None
    return one.size if is_whole else one.half_size


def remove(cache: Cache, one: Kept, *, is_whole: bool) -> int | None:
    """Remove a layer, or only the halves of it; bytes that are free now, None: a build uses it."""
    with cache.unused(one.digest) as is_free:
        if not is_free:
            return None
        free = 0
        halves = cache.folder.glob(f"{one.digest}.part*.sif")
        paths = [path for path in halves if _HALF.fullmatch(path.name)]
        if is_whole:
            paths += [cache.image(one.digest)]
            # .use, which is locked here, goes last: whoever waits for it must find all of this gone
            paths += [cache.folder / f"{one.digest}.{suffix}" for suffix in _OF_USE]
        for path in paths:
            if path.exists():
                free += path.stat().st_size
                path.unlink()
        return free


def totals(kept: Sequence[Kept]) -> str:
    """In words: 4 layers, 2.38 GB."""
    number = sum(one.is_whole for one in kept)
    return f"{number} layer{'s' * (number != 1)}, {gigabytes(sum(one.size for one in kept))}"


def gigabytes(size: int) -> str:
    """As people read it: 0.73 GB, and MB or kB for less."""
    if size >= 1e8:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
