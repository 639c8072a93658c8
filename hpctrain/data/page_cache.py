"""Files that the next batches need are read into the page cache as a whole, before their samples.

A sample of a field is scattered over its file. Read by itself it costs a request to the disk for
each of its rows, or drags in much that is thrown away again; a whole file costs one long read.
"""

from __future__ import annotations

import math
import os
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from hpctrain.data.divided import DividedSampler
from hpctrain.data.sampler import Share

_CHUNK = 1 << 19
"""What is asked for at a time; the kernel silently cuts long requests to its read-ahead."""
_MOST_PENDING = 64
_FEWEST_STEPS = 4
_MOST_COUNTED = 4096


class FileSamples(Protocol):
    """Samples that lie in files, some in each."""

    def __len__(self) -> int: ...

    @property
    def samples_per_file(self) -> int:
        """Samples that follow each other in the same files."""

    def paths(self, i: int) -> Sequence[Path]:
        """The files of a sample."""

    def release(self, i: int) -> None:
        """Close the files of a sample, and let their memory go."""


@dataclass(frozen=True)
class Window:
    """Files that one rank has in use at a time, and how early it asks for the next ones."""

    steps: int
    """How many batches before its first sample a file is asked for."""
    num_files: int
    """In use or asked for; one that comes back later is asked for again."""

    @staticmethod
    def of(sampler: DividedSampler, world_size: int) -> Window:
        """The window of each rank: that of its parts, half a file ahead at least."""
        own_parts = -(-sampler.num_parts // world_size)
        file_steps = sampler.samples_per_file / sampler.samples_of_part
        steps = max(_FEWEST_STEPS, math.ceil(file_steps / 2))
        in_use = 1 + math.ceil(sampler.shuffle_distance) + math.ceil(steps / file_steps)
        return Window(steps, own_parts * (1 + in_use))


def read_files_ahead(
    samples: FileSamples, shares: Iterable[Share], window: Window
) -> Iterator[Share]:
    """Hand shares on, and let the kernel read the files of later ones.

    Args:
        samples: what is read.
        shares: of one rank, in order.
        window: how far ahead.
    """
    steps, num_kept = window.steps, window.num_files
    recent: OrderedDict[int, None] = OrderedDict()
    pending: deque[Future[None]] = deque()
    waiting: deque[Share] = deque()
    shares = iter(shares)

    def look_at(share: Share) -> None:
        for file in dict.fromkeys(i // samples.samples_per_file for i in share.ids):
            if file not in recent and len(pending) < _MOST_PENDING:
                paths = samples.paths(file * samples.samples_per_file)
                pending.append(reader.submit(ask_for, paths))
            recent[file] = None
            recent.move_to_end(file)
        while len(recent) > num_kept:
            recent.popitem(last=False)
        while pending and pending[0].done():
            pending.popleft().result()

    reader = ThreadPoolExecutor(1, "files-ahead")
    try:
        while True:
            for share in islice(shares, steps + 1 - len(waiting)):
                look_at(share)
                waiting.append(share)
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        reader.shutdown(cancel_futures=True)


class UsedFiles:
    """Lets go of files whose samples were all read in an epoch; safe for threads.

    The kernel would rather keep their pages, which were used, than those that were read ahead. A
    file that other ranks read samples of, too, is left to it.
    """

    def __init__(self, samples: FileSamples) -> None:
        self._samples = samples
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, int]] = Counter()

    def count(self, i: int, epoch: int) -> None:
        """Sample i was read."""
        per_file = self._samples.samples_per_file
        key = epoch, i // per_file
        with self._lock:
            self._counts[key] += 1
            is_used = self._counts[key] == per_file
            if is_used:
                del self._counts[key]
                if len(self._counts) > _MOST_COUNTED:  # files of which no rank reads all
                    self._counts = Counter({k: n for k, n in self._counts.items() if k[0] >= epoch})
        if is_used:
            self._samples.release(i)


def let_go(paths: Sequence[Path]) -> None:
    """Take files that are mapped by nobody out of the page cache."""
    for path in paths:
        _advise(path, os.POSIX_FADV_DONTNEED)


def memory_bytes() -> int:
    """What this machine, or the process's memory cgroup, can still give; cached files count."""
    text = Path("/proc/meminfo").read_text()
    kilobytes = next(line.split()[1] for line in text.splitlines() if "MemAvailable" in line)
    found = [int(kilobytes) * 1024]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                found += _limits(Path("/sys/fs/cgroup") / controllers, path)
    return min(found)


def _limits(top: Path, path: str) -> Iterator[int]:
    for folder in (top / path.lstrip("/"), top):  # in a container its own group is the top
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max": no limit
                yield int((folder / name).read_text())


def ask_for(paths: Sequence[Path]) -> None:
    """Begin to read files into the page cache."""
    for path in paths:
        _advise(path, os.POSIX_FADV_WILLNEED)


def _advise(path: Path, advice: int) -> None:
    """Say it of a whole file; one that cannot be opened is left to its reader."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(handle).st_size
            chunk = _CHUNK if advice == os.POSIX_FADV_WILLNEED else size
            for start in range(0, size, chunk):
                os.posix_fadvise(handle, start, chunk, advice)
        finally:
            os.close(handle)
