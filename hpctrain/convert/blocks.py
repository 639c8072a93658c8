"""How an array is cut into pieces: what is read at a time, chunks, shards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from hpctrain.errors import ConfigError
from hpctrain.formats.array import Array, Key

CHUNK, PLANE_CHUNK = 64, 512
"""Edge of a chunk of a volume and of a picture."""
SHARDS = ((16 << 30, 256), (math.inf, 512))
"""Edge of a shard of volumes up to so many bytes."""
PLANE_SHARD = 4096


def contiguous_blocks(shape: Sequence[int], itemsize: int, limit: int) -> Iterator[Key]:
    """Regions that are one run of bytes of a C-ordered array, in the order of its bytes.

    Args:
        shape: of the array.
        itemsize: bytes of a number.
        limit: bytes of a region, if a single row is not longer.
    """
    axis, row = len(shape) - 1, itemsize
    while axis > 0 and row * shape[axis] <= limit:
        row *= shape[axis]
        axis -= 1
    count = max(1, limit // row)
    whole = tuple(slice(0, n) for n in shape[axis + 1 :])
    for lead in itertools.product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], count):
            part = slice(start, min(start + count, shape[axis]))
            yield (*(slice(i, i + 1) for i in lead), part, *whole)


def all_channel_blocks(shape: Sequence[int], itemsize: int, limit: int) -> Iterator[Key]:
    """Regions of all channels and some of the cells, for files that keep channels together."""
    for key in contiguous_blocks(shape[1:], itemsize * shape[0], limit):
        yield (slice(0, shape[0]), *key)


def offset_of(key: Key, shape: Sequence[int]) -> int:
    """Number of values before a region that is contiguous."""
    offset = 0
    for part, size in zip(key, shape, strict=True):
        offset = offset * size + part.start
    return offset


def chunk_shape(array: Array, edge: int | None) -> tuple[int, ...]:
    """Cells of a chunk: cubes, one channel each; an axis that is little longer is not cut."""
    space = _space(array)
    given = edge or (PLANE_CHUNK if space == 2 else CHUNK)
    cells = (n if n <= given * 3 // 2 and edge is None else min(n, given) for n in array.shape)
    lead = len(array.shape) - space
    return (1,) * lead + tuple(cells)[lead:]


def shard_shape(array: Array, chunk: Sequence[int], edge: int | None) -> tuple[int, ...]:
    """Cells of a shard: whole chunks, no more than the array has.

    Raises:
        ConfigError: `edge` is no multiple of the chunk's.
    """
    space = _space(array)
    default = next(size for limit, size in SHARDS if array.num_bytes <= limit)
    given = edge or (PLANE_SHARD if space == 2 else default)
    shape = []
    for axis, (n, c) in enumerate(zip(array.shape, chunk, strict=True)):
        if edge is not None and c < n and given % c:
            raise ConfigError(f"--shard: found {edge}; allowed: multiples of the chunk's {c} cells")
        needed = -(-n // c)
        shape.append(c if axis < len(array.shape) - space else c * max(1, min(given // c, needed)))
    return tuple(shape)


def _space(array: Array) -> int:
    """Axes that are cut into cubes: the last three, without that of channels."""
    return min(3, len(array.shape) - bool(array.channels))


def region_shape(
    array: Array, chunk: Sequence[int], shard: Sequence[int], limit: int
) -> tuple[int, ...]:
    """Cells that are read at a time, whole chunks: as the source likes it, within `limit` bytes.

    Args:
        array: its `block` says what costs no more than any part of it.
        chunk: cells of a chunk.
        shard: cells of a shard; a region does not cross its borders except along the last axis.
        limit: bytes, unless a source of whole rows needs more.
    """
    region = list(chunk)
    last = len(region) - 1
    block = array.block or tuple(chunk)
    if block[last] == array.shape[last]:  # a source of whole rows
        region[last] = chunk[last] * -(-array.shape[last] // chunk[last])
    for axis in reversed(range(len(region))):
        wanted = max(block[axis], chunk[axis])
        while region[axis] < wanted:
            larger = region[axis] * 2
            is_inside = axis == last or shard[axis] % larger == 0
            size = math.prod(region) // region[axis] * larger * array.dtype.itemsize
            if not is_inside or size > limit:
                break
            region[axis] = larger
    return tuple(region)


def grid(shape: Sequence[int], step: Sequence[int]) -> Iterator[Key]:
    """Regions of at most `step` cells that tile `shape`, the last axis fastest."""
    starts = (range(0, n, s) for n, s in zip(shape, step, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(a, min(a + s, n)) for a, s, n in zip(corner, step, shape, strict=True))


def within(outer: Key, step: Sequence[int]) -> Iterator[Key]:
    """Regions of at most `step` cells that tile the region `outer`."""
    for key in grid([part.stop - part.start for part in outer], step):
        yield tuple(
            slice(part.start + base.start, part.stop + base.start)
            for part, base in zip(key, outer, strict=True)
        )
