"""A loss with its gradient on both sides, size by size: equal first, then timed in turns."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from own_process import Measured, OwnProcess

SIDES = ("published", "ours")


def compare_losses(
    make: Callable[..., Callable[..., Any]],
    head: str,
    sizes: Sequence[tuple[int, int]],
    description: str,
    rounds: int,
) -> None:
    """Read the command line and print the table.

    Args:
        make: of a side's name and both numbers of a size; returns a function whose value is the
            loss and some of its slopes.
        head: of the column of sizes.
        sizes: what is compared, a line each.
        description: of the command.
        rounds: as many as are timed unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(f"forward and backward, float32, {given.threads} thread(s), {given.rounds} rounds")
    words = "".join(f"{word:>{n}}" for word, n in (("wall ms", 10), ("cpu ms", 9), ("MB", 8)))
    print(f"{head:13}{words}{words}    ratios: wall, cpu, memory")
    print(f"{'':13}{'published':>27}{'ours':>27}")
    for size in sizes:
        _compare(make, size, given.rounds, given.threads)


def _compare(
    make: Callable[..., Callable[..., Any]], size: tuple[int, int], rounds: int, threads: int
) -> None:
    with ExitStack() as stack:
        sides = {
            kind: stack.enter_context(OwnProcess(make, kind, *size, threads=threads))
            for kind in SIDES
        }
        first = {kind: side() for kind, side in sides.items()}
        found: dict[str, list[Measured]] = {kind: [] for kind in sides}
        for _ in range(rounds):
            for kind, side in sides.items():
                found[kind].append(side())
    (loss, slope), (own_loss, own_slope) = (first[k].value for k in SIDES)
    scale = max(map(abs, slope))
    apart = max(abs(a - b) / scale for a, b in zip(slope, own_slope, strict=True))
    assert abs(loss - own_loss) < 1e-5 * abs(loss), (loss, own_loss)
    assert apart < 1e-5, apart
    wall = {k: statistics.median(m.seconds for m in ms) for k, ms in found.items()}
    cpu = {k: statistics.median(m.cpu_seconds for m in ms) for k, ms in found.items()}
    peak = {k: ms[-1].megabytes for k, ms in found.items()}
    print(
        f"{size[0]:4} x {size[1]:<6}"
        + "".join(f"{1e3 * wall[k]:10.1f}{1e3 * cpu[k]:9.1f}{peak[k]:8.0f}" for k in sides)
        + "".join(f"{t['published'] / t['ours']:8.2f}" for t in (wall, cpu, peak)),
        flush=True,
    )
