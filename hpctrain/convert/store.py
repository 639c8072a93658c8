"""What a store must say and do, so that one engine can write and check all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hpctrain.convert.units import Unit

Facts = dict[str, Any]


class Store(Protocol):
    """One kind of store, for one selection of sources."""

    workers: int
    """Threads that may work at once within the memory that was given."""

    @property
    def num_bytes(self) -> int:
        """Room that it takes on the disk, at most or as estimated."""

    def prepare(self, folder: Path) -> None:
        """Make what all units need; harmless when it is there."""

    def units(self, folder: Path) -> Sequence[Unit]:
        """Pieces of writing; each says `files`, a table of relative path to [size, sha256]."""

    def checks(self, folder: Path) -> Sequence[Unit]:
        """Pieces of reading back and comparing with the source."""

    def facts(self) -> Facts:
        """About what is stored, for the data card."""


def array_facts(name: str, array: Any, dtype: Any) -> Facts:
    """What the card says about one array."""
    facts: Facts = {
        "name": name,
        "shape": list(array.shape),
        "dtype": dtype.name,
        "axes": list(array.axes),
    }
    if array.channels:
        tables: Sequence[Any] = array.channel_attributes or ({},) * len(array.channels)
        facts["channels"] = [
            {"name": n, **dict(t)} for n, t in zip(array.channels, tables, strict=True)
        ]
    if array.coordinates:
        facts["coordinates"] = {k: _ends(v) for k, v in array.coordinates.items()}
    if array.attributes:
        facts["attributes"] = dict(array.attributes)
    return facts


def _ends(values: Sequence[float]) -> Facts:
    return {"first": values[0], "last": values[-1], "cells": len(values)}
