"""The loop: pictures are read ahead by threads, encoded, and written in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpctrain.data.pairs import PairBatch, PairDataset
from hpctrain.data.sampler import Share
from hpctrain.embed.encoders import Encoders
from hpctrain.embed.ranges import Range
from hpctrain.embed.store import EXPANDED
from hpctrain.embed.thumbs import make_thumbs
from hpctrain.embed.writer import Writer
from hpctrain.train.precision import Precision

_AHEAD = 2
"""Batches that wait for the encoder, beside those that are being read."""


class Work:
    """Embeds ranges of one rank."""

    def __init__(
        self,
        dataset: PairDataset,
        encoders: Encoders,
        device: torch.device,
        precision: Precision,
        *,
        batch_size: int,
        threads: int,
    ) -> None:
        """Bring the encoders to the device.

        Args:
            dataset: whole pictures, no crops.
            encoders: of each modality.
            device: of this rank.
            precision: that they compute in.
            batch_size: pairs at a time.
            threads: that read.
        """
        self._dataset, self._device, self._batch_size = dataset, device, batch_size
        self._threads = max(1, threads)
        self._networks = {name: net.to(device) for name, net in encoders.networks.items()}
        self._expanders = {name: net.to(device) for name, net in encoders.expanders.items()}
        precision.apply_layout(self._networks)
        self._autocast = precision.autocast(device)

    def run(
        self, ranges: Sequence[Range], writer: Writer, tell: Callable[[int], None] = lambda _: None
    ) -> None:
        """Embed and write ranges.

        Args:
            ranges: blocks of rows; each counts when it is written as a whole.
            writer: of this rank.
            tell: told how many rows were written.
        """
        parts = [
            (start, at, min(at + self._batch_size, stop))
            for start, stop in ranges
            for at in range(start, stop, self._batch_size)
        ]
        ends = dict(ranges)
        rows: dict[str, list[NDArray[np.float32]]] = {}
        for (start, first, stop), batch in zip(parts, self._batches(parts), strict=True):
            wanted = writer.thumb_rows(first, stop)
            if len(wanted):
                crops = {
                    name: own[0][torch.from_numpy(wanted)] for name, own in batch.crops.items()
                }
                writer.write_thumbs(first, {name: make_thumbs(x) for name, x in crops.items()})
            for name, own in self.encode(batch).items():
                rows.setdefault(name, []).append(own.numpy())
            if stop == ends[start]:
                writer.write(start, {name: np.concatenate(own) for name, own in rows.items()})
                rows = {}
                tell(stop - start)

    @torch.inference_mode()
    def encode(self, batch: PairBatch) -> dict[str, Tensor]:
        """Vectors (B, D) float32 of each modality, and behind its expander, on the host."""
        found = {}
        for name, network in self._networks.items():
            pictures = batch.crops[name][0].to(self._device, non_blocking=True)
            with self._autocast() if self._autocast else nullcontext():
                found[name] = network(pictures)
                if name in self._expanders:
                    found[f"{name}{EXPANDED}"] = self._expanders[name](found[name])
        # both encoders are at work before the first result is waited for
        return {name: own.float().cpu() for name, own in found.items()}

    def _batches(self, parts: Sequence[tuple[int, int, int]]) -> Iterator[PairBatch]:
        """Batches in order, some of them read ahead."""
        waiting: deque[Future[PairBatch]] = deque()
        left = iter(parts)
        with ThreadPoolExecutor(self._threads, "embed") as pool:
            try:
                for _ in range(self._threads + _AHEAD):
                    self._begin(pool, left, waiting)
                while waiting:
                    batch = waiting.popleft().result()
                    self._begin(pool, left, waiting)
                    yield batch
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _begin(
        self,
        pool: ThreadPoolExecutor,
        left: Iterator[tuple[int, int, int]],
        waiting: deque[Future[PairBatch]],
    ) -> None:
        for _, first, stop in left:
            waiting.append(pool.submit(self._read, first, stop))
            return

    def _read(self, first: int, stop: int) -> PairBatch:
        share = Share(0, 0, tuple(range(first, stop)), stop - first)
        return self._dataset.read_batch(share, pin=self._device.type == "cuda").augmented()
