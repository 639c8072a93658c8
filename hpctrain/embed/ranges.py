"""Ranges of rows: which are done, which are left, and whose turn they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Range = tuple[int, int]
"""First row, and the one behind the last."""


def merged(ranges: Iterable[Sequence[int]]) -> list[Range]:
    """The same rows in order, in as few ranges as possible."""
    found: list[Range] = []
    for start, stop in sorted((int(a), int(b)) for a, b in ranges):
        if stop <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def missing(done: Iterable[Sequence[int]], num_rows: int) -> list[Range]:
    """Rows of so many that are in none of the ranges."""
    left, at = [], 0
    for start, stop in [*merged(done), (num_rows, num_rows)]:
        if start > at:
            left.append((at, start))
        at = max(at, stop)
    return left


def share_of(left: Iterable[Range], rank: int, world_size: int, size: int) -> list[Range]:
    """Blocks of a rank, of up to `size` rows; all ranks together have each row once.

    Args:
        left: rows to be divided.
        rank: whose.
        world_size: number of ranks; each gets one stretch, so that neighbours in the index, which
            often lie in one folder, are read by one rank.
        size: most rows of a block.
    """
    blocks = [(at, min(at + size, stop)) for start, stop in left for at in range(start, stop, size)]
    return blocks[len(blocks) * rank // world_size : len(blocks) * (rank + 1) // world_size]
