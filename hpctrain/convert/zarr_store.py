"""A Zarr 3 group of chunked, sharded arrays: any cube of a volume in a few reads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.convert.blocks import chunk_shape, grid, region_shape, shard_shape, within
from hpctrain.convert.cast import cast, target_dtype
from hpctrain.convert.options import Options
from hpctrain.convert.store import Facts, array_facts
from hpctrain.convert.units import Unit
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.array import Array, Key
from hpctrain.formats.packages import need
from hpctrain.formats.shard_reader import ShardedArray
from hpctrain.formats.shards import ShardWriter, packer, zarr_codec

SAMPLES = 6
"""Chunks that are packed beforehand to estimate the room that is needed."""


@dataclass(frozen=True)
class _Plan:
    name: str
    array: Array
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    region: tuple[int, ...]
    """Read at a time."""

    @property
    def row(self) -> tuple[int, ...]:
        """Shards along the last axis, which are written together."""
        return (*self.shard[:-1], self.array.shape[-1])

    @property
    def num_bytes(self) -> int:
        return math.prod(self.array.shape) * self.dtype.itemsize

    @property
    def region_bytes(self) -> int:
        return math.prod(self.region) * max(self.array.dtype.itemsize, self.dtype.itemsize)


class ZarrStore:
    """Arrays that are written shard by shard."""

    def __init__(self, arrays: Sequence[tuple[str, Array]], options: Options) -> None:
        """Each array comes with its path in the group."""
        self._codec = options.codec or "zstd"
        limit = options.memory_mb * 1_000_000 // options.workers
        self._plans = [_plan(name, array, options, limit) for name, array in arrays]
        # wide volumes need a long row of chunks at a time: then fewer threads work
        largest = max(plan.region_bytes for plan in self._plans)
        fitting = options.memory_mb * 1_000_000 // largest
        self.workers = max(1, min(options.workers, fitting))

    @property
    def num_bytes(self) -> int:
        """Bytes of all values, as far as some packed chunks say."""
        return sum(int(plan.num_bytes * self._ratio(plan)) + (1 << 16) for plan in self._plans)

    def _ratio(self, plan: _Plan) -> float:
        own = packer(self._codec, plan.dtype.itemsize)
        chunks = [-(-n // c) for n, c in zip(plan.array.shape, plan.chunk, strict=True)]
        if own is None or math.prod(chunks) < 4 * SAMPLES:
            return 1.0
        sizes = []
        for number in range(SAMPLES):  # along the diagonal
            part = (2 * number + 1) / (2 * SAMPLES)
            corner = (int(n * part) * c for n, c in zip(chunks, plan.chunk, strict=True))
            ends = zip(corner, plan.chunk, plan.array.shape, strict=True)
            values = plan.array.read(tuple(slice(a, min(a + c, n)) for a, c, n in ends))
            sizes.append(len(own.encode(np.ascontiguousarray(values))) / values.nbytes)
        return min(1.0, 1.1 * max(sizes))

    def prepare(self, folder: Path) -> None:
        """Write the metadata, by the zarr library."""
        zarr = need("zarr", folder)
        root = zarr.open_group(str(folder), mode="a", zarr_format=3)
        for plan in self._plans:
            if plan.name not in root:
                codec = zarr_codec(self._codec, plan.dtype.itemsize)
                root.create_array(
                    plan.name,
                    shape=plan.array.shape,
                    dtype=plan.dtype.newbyteorder("="),
                    chunks=plan.chunk,
                    shards=plan.shard,
                    compressors=None if codec is None else [codec],
                    fill_value=0,
                    dimension_names=plan.array.axes,
                    attributes=_attributes(plan.array),
                )

    def units(self, folder: Path) -> Sequence[Unit]:
        """One a row of shards."""
        return [
            _unit(f"{plan.name} {number}", plan, key, partial(self._write, folder, plan, key))
            for plan in self._plans
            for number, key in enumerate(grid(plan.array.shape, plan.row))
        ]

    def checks(self, folder: Path) -> Sequence[Unit]:
        """Read each row of shards back and compare."""
        root = need("zarr", folder).open_group(str(folder), mode="r")
        units = []
        for plan in self._plans:
            check = partial(_check, root, ShardedArray(folder / plan.name), plan)
            for number, key in enumerate(grid(plan.array.shape, plan.row)):
                name = f"check {plan.name} {number}"
                units.append(_unit(name, plan, key, partial(check, key)))
        return units

    def facts(self) -> Facts:
        """Arrays, chunks and codec."""
        arrays = [
            {
                **array_facts(plan.name, plan.array, plan.dtype),
                "chunk": list(plan.chunk),
                "shard": list(plan.shard),
            }
            for plan in self._plans
        ]
        return {"arrays": arrays, "codec": self._codec}

    def _write(self, folder: Path, plan: _Plan, row: Key) -> Facts:
        place = [part.start // s for part, s in zip(row, plan.shard, strict=True)]
        per_shard = [s // c for s, c in zip(plan.shard, plan.chunk, strict=True)]
        home = folder.joinpath(plan.name, "c", *map(str, place[:-1]))
        count = -(-plan.array.shape[-1] // plan.shard[-1])
        writers = [ShardWriter(home / str(n), per_shard, self._codec) for n in range(count)]
        try:
            for region in within(row, plan.region):
                values = cast(plan.array.read(region), plan.dtype, plan.name)
                for chunk in within(region, plan.chunk):
                    own = tuple(
                        slice(c.start - r.start, c.stop - r.start)
                        for c, r in zip(chunk, region, strict=True)
                    )
                    number = [part.start // c for part, c in zip(chunk, plan.chunk, strict=True)]
                    inside = tuple(n % p for n, p in zip(number, per_shard, strict=True))
                    writers[chunk[-1].start // plan.shard[-1]].append(
                        inside, _whole(values[own], plan.chunk)
                    )
            done = [(n, writer.finish()) for n, writer in enumerate(writers)]
        finally:
            for writer in writers:
                writer.close()
        here = home.relative_to(folder)
        return {"files": {str(here / str(n)): list(facts) for n, facts in done if facts}}


def _plan(name: str, array: Array, options: Options, limit: int) -> _Plan:
    if any(size and size < 1 for size in (options.chunk, options.shard)):
        raise ConfigError("--chunk and --shard: allowed: whole numbers from 1 on")
    dtype = target_dtype(array, options.dtype)
    chunk = chunk_shape(array, options.chunk)
    shard = shard_shape(array, chunk, options.shard)
    return _Plan(name, array, dtype, chunk, shard, region_shape(array, chunk, shard, limit))


def _unit(name: str, plan: _Plan, key: Key, run: Callable[[], Facts]) -> Unit:
    return Unit(name, math.prod(p.stop - p.start for p in key) * plan.dtype.itemsize, run)


def _whole(values: Any, chunk: tuple[int, ...]) -> Any:
    """A chunk at the border is filled up with zeros, as Zarr stores it."""
    if values.shape == chunk:
        return np.ascontiguousarray(values)
    full = np.zeros(chunk, values.dtype)
    full[tuple(slice(0, n) for n in values.shape)] = values
    return full


def _check(root: Any, own: ShardedArray, plan: _Plan, row: Key) -> Facts:
    """Compare all values by the fast reader, and a first cube by the zarr library."""
    first = next(within(row, plan.chunk))
    wanted = cast(plan.array.read(first), plan.dtype, plan.name)
    _compare(root, plan, np.ascontiguousarray(root[plan.name][first], plan.dtype), wanted)
    for region in within(row, plan.region):
        wanted = cast(plan.array.read(region), plan.dtype, plan.name)
        _compare(root, plan, own.read(region), wanted)
    return {}


def _compare(root: Any, plan: _Plan, found: NDArray[Any], wanted: NDArray[Any]) -> None:
    # bytes, as NaN is not equal to itself; layer by layer, as a comparison takes memory, too
    pairs = zip(found.view(np.uint8), wanted.view(np.uint8), strict=True)
    if found.dtype != plan.dtype or not all(np.array_equal(a, b) for a, b in pairs):
        raise DataError(
            f"{os.path.join(str(root.store_path), plan.name)}: holds other numbers than its "
            "source; the disk or the memory is faulty, or the source changed meanwhile"
        )


def _attributes(array: Array) -> Facts:
    """What a reader needs beside the numbers; readers of this package look for these names."""
    page: Facts = dict(array.attributes)
    if array.channels:
        page["channels"] = list(array.channels)
    if array.channel_attributes:
        page["channel_attributes"] = [dict(table) for table in array.channel_attributes]
    if array.coordinates:
        page["coordinates"] = {name: list(values) for name, values in array.coordinates.items()}
    return page
