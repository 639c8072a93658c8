"""`hpctrain convert` of data: options, progress, and what came of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import typer

from hpctrain.errors import ConfigError

LINE_S = 10.0
"""Seconds between lines where no terminal shows a bar."""


def convert_data(sources: tuple[Path, ...], to: str, out: Path, given: dict[str, Any]) -> None:
    """Convert, or go on with a conversion; says how far it is on stderr.

    Args:
        sources: files and folders.
        to: the store.
        out: new folder.
        given: options of the command line that were given.
    """
    from hpctrain.registry import CONVERT, resolve

    begin = time.monotonic()
    run = resolve(CONVERT)
    progress = _bar() if sys.stderr.isatty() else _Lines()
    try:
        with progress:
            result = run(sources, to, out, given, progress)
    except KeyboardInterrupt:
        typer.echo("hpctrain: interrupted; the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    except OSError as e:
        raise ConfigError(
            f"{e.filename or out}: {e.strerror or e}; mend that, and the same command goes on "
            "from here"
        ) from e
    if result.was_complete:
        done = "its card names the licence" if result.has_new_card else "nothing was done"
        typer.echo(f"{out}: is complete, of the same sources and options; {done}")
        return
    checked = "compared with the source" if result.is_verified else "not compared"
    left = f", {result.left_out} pairs left out by the index" if result.left_out else ""
    typer.echo(
        f"{out}: {result.num_files} files, {result.num_bytes / 1e6:.1f} MB, {checked}{left}, "
        f"in {time.monotonic() - begin:.0f} s; see {out / 'DATA_CARD.md'}"
    )


class _Lines:
    """A line at the begin of each phase and some seconds apart."""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be taken back."""

    def begin(self, phase: str, total: int, done: int) -> None:
        self._phase, self._total, self._done = phase, total, done
        self._start, self._last, self._at_start = time.monotonic(), time.monotonic(), done
        again = f", {done / 1e6:.0f} MB done before" if done else ""
        if total:
            typer.echo(f"{phase}: {total / 1e6:.0f} MB{again}", err=True)

    def advance(self, num_bytes: int) -> None:
        self._done += num_bytes
        now = time.monotonic()
        if now - self._last < LINE_S:
            return
        self._last = now
        rate = (self._done - self._at_start) / (now - self._start)
        left = (self._total - self._done) / rate
        typer.echo(
            f"{self._phase}: {100 * self._done / self._total:.0f} %, {rate / 1e6:.0f} MB/s, "
            f"{left:.0f} s left",
            err=True,
        )


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    class Bar(Progress):
        """One bar a phase."""

        def begin(self, phase: str, total: int, done: int) -> None:
            if total:
                self._task = self.add_task(phase, total=total, completed=done)

        def advance(self, num_bytes: int) -> None:  # type: ignore[override]
            super().advance(self._task, num_bytes)

    return Bar(
        TextColumn("{task.description:16}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
