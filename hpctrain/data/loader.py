"""Batches read ahead by threads: in order, bounded, without a gap between epochs.

Threads, not processes: copying out of a memory map releases the interpreter lock, and forking
after MPI has started is unsafe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import torch

from hpctrain.data.ahead import Batch, CopyStream, Staged
from hpctrain.data.batch import read_batch
from hpctrain.data.dataset import FieldDataset
from hpctrain.data.pairs.dataset import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.data.scroll.dataset import ScrollDataset


class BatchLoader:
    """Iterator over batches; use it as a context manager, or call `close`."""

    def __init__(
        self,
        dataset: FieldDataset | ScrollDataset | PairDataset,
        shares: Iterator[Share],
        workers: int = 1,
        prefetch_batches: int = 4,
        device: torch.device | None = None,
        after_sample: Callable[[int, int], None] | None = None,
    ) -> None:
        """Start reading.

        Args:
            dataset: samples.
            shares: what to read, in order; see `sampler.stream`.
            workers: threads; 0 reads in the loop itself.
            prefetch_batches: batches that are read ahead, over all threads.
            device: a CUDA device to which batches are copied from pinned memory; None: stay.
            after_sample: called in a reading thread with number and epoch of each sample read.
        """
        self._dataset = dataset
        self._shares = shares
        self._after_sample = after_sample
        self._device = device if device is not None and device.type == "cuda" else None
        self._copies = CopyStream(self._device) if self._device is not None else None
        self._staged: Staged | None = None
        self._limit = max(prefetch_batches, workers)
        self._state = threading.Condition()
        self._ready: dict[int, Batch | BaseException] = {}
        self._started = 0
        self._delivered = 0
        self._end: int | None = None
        self._is_closed = False
        self.waited_s = 0.0
        """Seconds that the loop has waited for data so far."""
        self._threads = [
            threading.Thread(target=self._work, name=f"loader-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._copies is None:
            return self._next()
        staged = self._staged or self._copies.stage(self._next())
        batch = self._copies.take(staged)
        # the next one's copy runs beside this one's kernels; one at a time, to spare the device
        self._staged = self._copies.stage(self._next()) if self._is_next_read() else None
        return batch

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop and join the threads; may be called twice."""
        with self._state:
            self._is_closed = True
            self._ready.clear()
            self._state.notify_all()
        for thread in self._threads:
            thread.join()
        close = getattr(self._shares, "close", None)
        if close is not None:  # a generator may have threads of its own
            close()

    def _next(self) -> Batch:
        start = time.perf_counter()
        try:
            return self._next_read() if self._threads else self._read(self._next_share())
        except StopIteration:
            raise
        except BaseException:
            self.close()
            raise
        finally:
            self.waited_s += time.perf_counter() - start

    def _is_next_read(self) -> bool:
        """True if the next batch is there, and no error; that is raised at its place."""
        with self._state:
            return isinstance(self._ready.get(self._delivered), Batch)

    def _next_share(self) -> Share:
        if self._is_closed:
            raise RuntimeError("the loader is closed")
        return next(self._shares)

    def _next_read(self) -> Batch:
        """Wait for the next batch in order; an error of a thread is raised at its place."""
        with self._state:
            number = self._delivered
            self._state.wait_for(
                lambda: self._is_closed or number in self._ready or number == self._end
            )
            if self._is_closed:
                raise RuntimeError("the loader is closed")
            if number not in self._ready:
                raise StopIteration
            item = self._ready.pop(number)
            self._delivered += 1
            self._state.notify_all()
        if isinstance(item, BaseException):
            raise item
        return item

    def _work(self) -> None:
        if self._device is not None:
            torch.cuda.set_device(self._device)  # where pinned memory is registered
        while (claim := self._claim()) is not None:
            number, share = claim
            item: Batch | BaseException
            try:
                item = self._read(share)
            except BaseException as e:  # raised by the loop when it comes to this batch
                item = e
            with self._state:
                self._ready[number] = item
                self._state.notify_all()

    def _claim(self) -> tuple[int, Share] | None:
        """The next batch to read, once there is room for it; None when there is nothing left."""
        with self._state:
            self._state.wait_for(self._may_start)
            if self._is_closed or self._end is not None:
                return None
            number = self._started
            try:
                share = next(self._shares)
            except StopIteration:
                self._end = number
            except BaseException as e:  # raised by the loop, as above
                self._ready[number], self._end = e, number + 1
            else:
                self._started += 1
                return number, share
            self._state.notify_all()
            return None

    def _may_start(self) -> bool:
        is_over = self._is_closed or self._end is not None
        return is_over or self._started < self._delivered + self._limit

    def _read(self, share: Share) -> Batch:
        data, pin = self._dataset, self._device is not None
        if isinstance(data, ScrollDataset | PairDataset):
            return data.read_batch(share, self._after_sample, pin=pin)
        return read_batch(data, share, self._after_sample, pin=pin)
