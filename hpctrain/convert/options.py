"""What a conversion was asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpctrain.errors import ConfigError
from hpctrain.formats.shards import CODECS

STORES = ("npy", "zarr", "records")
Range = tuple[int | None, int | None]


_ARRAYS = ("npy", "zarr")
_ONLY = {
    **dict.fromkeys(("variables", "steps", "crop", "dtype", "reader"), _ARRAYS),
    **dict.fromkeys(("codec", "chunk", "shard"), ("zarr",)),
    **dict.fromkeys(("decode", "keep_off_law"), ("records",)),
}
"""Options that only some stores have."""
_FLAGS = {"variables": "--variable"}


@dataclass(frozen=True)
class Options:
    """A conversion; what is not given is chosen by the source."""

    sources: tuple[Path, ...]
    to: str
    """One of STORES."""
    out: Path
    variables: tuple[str, ...] = ()
    """Variables, redshifts, volumes or levels that are kept, in this order; empty: the default."""
    steps: tuple[int | None, int | None, int | None] = (None, None, None)
    """start, stop, stride over the sources in the order given."""
    crop: tuple[Range, ...] = ()
    """[start, stop) along the last axes."""
    dtype: str | None = None
    """numpy's name of the stored type."""
    codec: str | None = None
    """Of Zarr chunks; None: zstd."""
    chunk: int | None = None
    """Edge of a Zarr chunk in cells."""
    shard: int | None = None
    """Edge of a Zarr shard in cells."""
    reader: Any = None
    """Class of the user's own that opens each source."""
    decode: bool = False
    """Records: pictures as numbers instead of their bytes."""
    keep_off_law: bool = False
    """Records: thermal numbers that no camera gives as float64."""
    licence: str | None = None
    verify: bool = True
    workers: int = field(default_factory=lambda: min(8, len(os.sched_getaffinity(0))))
    memory_mb: int = 128
    """For the regions that are read at a time, of all workers together."""

    def __post_init__(self) -> None:
        """Refuse what has no effect or no sense."""
        if self.to not in STORES:
            raise ConfigError(f"--to: found {self.to!r}; choose from {', '.join(STORES)}")
        if self.codec is not None and self.codec not in CODECS:
            raise ConfigError(f"--codec: found {self.codec!r}; choose from {', '.join(CODECS)}")
        nothing: tuple[object, ...] = (None, (), False, (None, None, None))
        for name, stores in _ONLY.items():
            if self.to not in stores and getattr(self, name) not in nothing:
                option = _FLAGS.get(name, "--" + name.replace("_", "-"))
                raise ConfigError(
                    f"{option}: has no effect with --to {self.to}; it is for {', '.join(stores)}"
                )

    def asked(self) -> dict[str, Any]:
        """What decides over the bytes that are written, for the journal and the card."""
        table = {name: getattr(self, name) for name in ("to", *_ONLY)}
        if self.reader is not None:
            table["reader"] = f"{self.reader.__module__}.{self.reader.__qualname__}"
            table["reader_sha256"] = getattr(self.reader, "sha256", None)
        return table


def parse_range(text: str, option: str, parts: int) -> tuple[int | None, ...]:
    """Whole numbers separated by colons, each of which may be left out.

    Args:
        text: such as `1:200` or `::10`.
        option: its name, for messages.
        parts: at most so many numbers.

    Raises:
        ConfigError: anything else.
    """
    words = text.strip().split(":")
    if not 2 <= len(words) <= parts or not all(not w or w.isdecimal() for w in words):
        shape = ":".join(("START", "STOP", "STRIDE")[:parts])
        raise ConfigError(f"{option}: found {text!r}; allowed: {shape}, each a number or nothing")
    numbers = [int(w) if w else None for w in words]
    if len(numbers) == 3 and numbers[2] == 0:
        raise ConfigError(f"{option}: found {text!r}; allowed: a STRIDE from 1 on")
    return (*numbers, *[None] * (parts - len(numbers)))


def parse_crop(text: str) -> tuple[Range, ...]:
    """Ranges of the last axes, such as `1:200,:,0:90`."""
    ranges = (parse_range(part, "--crop", 2) for part in text.split(","))
    return tuple((a, b) for a, b in ranges)
