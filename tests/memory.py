"""How much memory a call takes, told in a process of its own.

A process that runs other tests may still hold their threads: an import on the side is tens of
megabytes, and tracemalloc counts them to whoever asked.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def peaks(work: Callable[..., object], *calls: tuple) -> list[int]:
    """Most bytes that Python and numpy held at once, for each call of `work`, one after another.

    Errors: whatever `work` raises.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return [process.submit(_peak, work, call).result() for call in calls]


def _peak(work: Callable[..., object], call: tuple) -> int:
    tracemalloc.start()
    try:
        work(*call)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
