"""Work in a process of its own, which stays between calls: its peak memory is nobody else's."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One call."""

    seconds: float
    """Of the clock on the wall."""
    cpu_seconds: float
    """Of the processor, over all threads: what other programs disturb least."""
    megabytes: float
    """Peak resident memory so far, less that of the imports."""
    value: Any
    """What the call returned."""


class OwnProcess:
    """Makes a function in a fresh process and calls it there; leaving the context ends it."""

    def __init__(
        self, make: Callable[..., Callable[..., Any]], *arguments: Any, threads: int = 1
    ) -> None:
        """Start the process.

        Args:
            make: called there with the arguments; on the top level of its module.
            arguments: anything that can be pickled.
            threads: of torch.
        """
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there, threads, make, arguments))
        self._process.start()
        there.close()

    def __call__(self, *arguments: Any) -> Measured:
        """Call the function; EOFError where the process has died."""
        self._pipe.send(arguments)
        found: Measured = self._pipe.recv()
        return found

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self._pipe.close()
        self._process.join()


def _serve(
    pipe: Connection,
    threads: int,
    make: Callable[..., Callable[..., Any]],
    arguments: tuple[Any, ...],
) -> None:
    import torch
    import torch._dynamo  # the first optimizer imports it: no part of anybody's step

    torch.set_num_threads(threads)
    before = _memory_mb("VmHWM")
    function = make(*arguments)
    while True:
        try:
            given = pipe.recv()
        except EOFError:
            return
        begin, cpu = time.perf_counter(), time.process_time()
        value = function(*given)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        pipe.send(Measured(seconds, cpu, _memory_mb("VmHWM") - before, value))


def _memory_mb(name: str) -> float:
    """A line of this process's status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1e3
