"""Bands of rows that are done, kept beside the output until it is whole: a killed run goes on.

Each band is written under a scratch name and renamed, so that one which is there is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import BusyError, ConfigError, DataError, unwritable

_PLAN, _LOCK, _FAILED = "plan.json", "lock", ".all.failed"
_FIXED = "same"
"""What must be the same for bands to go together."""
_DONE = "is_done"
"""In the plan of a segment whose outputs are there, while others are not done."""

Band = NDArray[np.float32]


class Parts:
    """The folder of one prediction's bands.

    Args:
        folder: a hidden one beside the output.
        plan: facts that all bands share; those under `same` must be alike to go on.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self.folder, self.plan = folder, json.loads(json.dumps(plan))
        self.is_new = True
        """Whether it began anew, and goes on with nothing."""
        self._lock: int | None = None

    def open(self, *, may_replace: bool) -> dict[str, Any]:
        """Make the folder, or go on with what a prediction of the same plan has left; one rank.

        Args:
            may_replace: take away bands of another plan.

        Returns:
            The plan to follow: of a prediction that is gone on with, its own.

        Raises:
            BusyError: another prediction is at work in it.
            ConfigError: it has bands of another plan.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._mark.unlink(missing_ok=True)  # of a killed one
            known = self._known()
            other = self._unlike(known) if known is not None else ""
            if known is not None and not other:
                self.is_new = False
                return known
            is_of_use = self.count or (known is not None and self.is_finished(known))
            if other and is_of_use and not may_replace:
                raise ConfigError(
                    f"{self.folder}: is of an interrupted prediction with another {other}; "
                    "go on as it was, or begin anew with --overwrite"
                )
            self._clear(but=(_LOCK,))
            self._write_plan(self.plan)
            return dict(self.plan)
        except OSError as e:
            raise unwritable(self.folder, e) from e

    def _unlike(self, known: Mapping[str, Any]) -> str:
        """The first fact in which a plan is another one, with both its values; empty: none."""
        mine, other = self.plan[_FIXED], known[_FIXED]
        for name in mine:
            if mine[name] != other.get(name):
                return f"{name} ({other.get(name)}; now {mine[name]})"
        return ""

    def missing(self, count: int) -> list[int]:
        """Bands out of `count` that are not there."""
        return [number for number in range(count) if not self._path(number).is_file()]

    def save(self, number: int, values: Band) -> None:
        """Keep a band, (rows, columns)."""
        try:
            self._write(self._path(number), np.ascontiguousarray(values, "<f4").tobytes())
        except OSError as e:
            raise unwritable(self._path(number), e) from e

    @property
    def count(self) -> int:
        """How many bands are there."""
        return sum(1 for _ in self.folder.glob("band_*.f4"))

    def mark_failed(self) -> None:
        """Let the other ranks know that this segment will not be finished."""
        with suppress(OSError):  # then they know when all have done their part
            self._mark.touch()

    def is_marked_failed(self) -> bool:
        """Whether a rank has said so."""
        return self._mark.exists()

    def read(self, number: int, shape: tuple[int, int]) -> Band:
        """A band again.

        Raises:
            DataError: it was altered.
        """
        try:
            values = np.fromfile(self._path(number), "<f4")
        except OSError as e:
            raise DataError(f"{self._path(number)}: cannot be read: {e.strerror or e}") from e
        if values.size != shape[0] * shape[1]:
            raise DataError(f"{self._path(number)}: was altered; take it away, and predict again")
        return values.reshape(shape).astype(np.float32, copy=False)

    def finish(self) -> None:
        """Take the bands away, now that the outputs are whole; the plan says so."""
        try:
            self._write_plan({**self.plan, _DONE: True})
            self._clear(but=(_LOCK, _PLAN))
        except OSError as e:
            raise unwritable(self.folder, e) from e

    @staticmethod
    def is_finished(plan: Mapping[str, Any]) -> bool:
        """Whether all outputs of a plan have been there."""
        return bool(plan.get(_DONE))

    def remove(self) -> None:
        """Take all away, now that the outputs of all segments are whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def let_go(self) -> None:
        """Let others use the folder; one that has nothing to go on with is taken away."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._mark.unlink(missing_ok=True)
            known = self._known()
            if not self.count and not (known and self.is_finished(known)):
                self._clear()
                self.folder.rmdir()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _mark(self) -> Path:
        return self.folder / _FAILED

    def _write_plan(self, plan: Mapping[str, Any]) -> None:
        self._write(self.folder / _PLAN, json.dumps(plan, indent=1).encode())

    def _known(self) -> dict[str, Any] | None:
        try:
            page = json.loads((self.folder / _PLAN).read_text())
        except (OSError, ValueError):
            return None
        return page if isinstance(page, dict) and isinstance(page.get(_FIXED), dict) else None

    def _clear(self, but: Sequence[str] = ()) -> None:
        for path in self.folder.iterdir():
            if path.name not in but:
                path.unlink()

    def _take_lock(self) -> None:
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            raise BusyError(
                f"{self.folder}: another prediction writes the same output; wait for it, or give "
                "another --out"
            ) from None
        except OSError:  # a file system without locks
            return

    def _path(self, number: int) -> Path:
        return self.folder / f"band_{number:06d}.f4"

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


class Rows:
    """All rows of a segment out of its bands, a block at a time."""

    def __init__(self, parts: Parts, bands: list[tuple[int, int]], width: int) -> None:
        """Name them.

        Args:
            parts: where bands are.
            bands: [first, stop) of the rows of each, one after the other.
            width: columns.
        """
        self._parts, self._bands, self._width = parts, bands, width

    def blocks(self, height: int) -> Iterator[tuple[int, Band]]:
        """First row and values of blocks of `height` rows; the last may have fewer."""
        size = self._bands[-1][1]
        block, top, filled = np.empty((min(height, size), self._width), np.float32), 0, 0
        for number, (first, stop) in enumerate(self._bands):
            band = self._parts.read(number, (stop - first, self._width))
            while len(band):
                count = min(len(band), len(block) - filled)
                block[filled : filled + count] = band[:count]
                filled, band = filled + count, band[count:]
                if filled == len(block):
                    yield top, block
                    top += filled
                    block = np.empty((min(height, size - top), self._width), np.float32)
                    filled = 0
