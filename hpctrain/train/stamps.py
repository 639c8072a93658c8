"""Stamps of what a training makes, and which checkpoint its figures belong to.

A checkpoint is written beside the training, and its digest is known when that has ended. Figures
and documents of the same step wait for it in their own thread, never in the loop.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpctrain.errors import ProvenanceError
from hpctrain.log import logger
from hpctrain.provenance import Stamp, stamp_run
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.files import read_stamp
from hpctrain.train.task import Position

_PATIENCE_S = 600.0
"""How long a figure waits for the digest of its checkpoint."""


def checkpoint_facts(path: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the stamp of what is made from a checkpoint.

    Args:
        path: the checkpoint's file, no link.
        state: what it holds.
    """
    at = state.get("position", {})
    return {
        "checkpoint": path.name,
        "checkpoint_digest": _checkpoint_digest(path),
        "epoch": at.get("epoch"),
        "global_step": at.get("global_step"),
    }


def _checkpoint_digest(path: Path) -> str:
    try:
        return read_stamp(path).content_digest
    except ProvenanceError as e:  # of an older version
        logger.debug("%s has no stamp: %s", path, e)
        return digest_of(path)


class Stamps:
    """Makes stamps; on rank 0, of one start of the training."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._base: Stamp | None = None
        self._parent: dict[str, str | None] = {}
        self._saved: dict[int, tuple[str, str]] = {}
        self._under_way: dict[int, threading.Event] = {}

    def went_on_from(self, name: str, global_step: int) -> None:
        """Say which checkpoint the training goes on from, and of which step that is."""
        path = self._run_dir / "checkpoints" / name
        digest = _checkpoint_digest(path)
        self._parent = {"checkpoint": name, "checkpoint_digest": digest}
        self._saved[global_step] = name, digest

    def begin(self, global_step: int) -> None:
        """The state at this step is being written."""
        self._under_way[global_step] = threading.Event()

    def end(self, global_step: int, name: str = "", digest: str = "") -> None:
        """It is on disk under this name, or could not be written."""
        if digest:
            self._saved[global_step] = name, digest
        self._under_way.pop(global_step, threading.Event()).set()

    def checkpoint(self, at: Position) -> Stamp:
        """Stamp of the checkpoint at a position."""
        stamp = self._make("checkpoint", at)
        return replace(stamp, **self._parent)  # type: ignore[arg-type]

    def give_up(self) -> None:
        """Let nothing wait any longer, because the training fails."""
        for event in list(self._under_way.values()):
            event.set()

    def is_pending(self, at: Position) -> bool:
        """Whether a checkpoint of this position is being written."""
        return at.global_step in self._under_way

    def product(self, kind: str, at: Position, *, patience_s: float = _PATIENCE_S) -> Stamp:
        """Stamp of a product of the state at a position; waits for the state's own digest."""
        event = self._under_way.get(at.global_step)
        if event is not None and patience_s:
            event.wait(patience_s)
        stamp = self._make(kind, at)
        if at.global_step in self._saved:
            name, digest = self._saved[at.global_step]
            return replace(stamp, checkpoint=name, checkpoint_digest=digest)
        return stamp

    def of_start(self, kind: str) -> Stamp:
        """Stamp of something that belongs to the whole start, such as its event file."""
        return replace(self._started(), product=kind, **self._parent)  # type: ignore[arg-type]

    def take_image(self, digest: str) -> None:
        """The digest of the container image is known now."""
        self._base = replace(self._started(), container_digest=digest)

    def _make(self, kind: str, at: Position) -> Stamp:
        return replace(self._started(), product=kind, epoch=at.epoch, global_step=at.global_step)

    def _started(self) -> Stamp:
        """Made at first use, which is after the start was noted in the manifest."""
        if self._base is None:
            self._base = stamp_run(self._run_dir, "")
        return self._base
