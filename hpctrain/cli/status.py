"""`hpctrain status`: every run in a folder, and whether it still lives."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpctrain import run_state
from hpctrain.cli import queue, sweep_state
from hpctrain.cli.run_dir import RUNS, find_folder, has_points, sweep_problem
from hpctrain.errors import ConfigError
from hpctrain.run_state import RunState

if TYPE_CHECKING:
    from rich.console import Group

    from hpctrain.schedulers.overview import RunJob

WATCH_EVERY_S = 2.0
_OVERHEAD = 0.1
"""Share of the time from which on data, communication, optimizer or other are shown."""

_RIGHT = ("epoch", "step", "loss", "samples/s", "left", "updated")
_SPARE = ("job", "queue", "overhead", "note")
_COLORS = {
    "finished": "green",
    "running": "cyan",
    "starting": "cyan",
    "stopped": "yellow",
    "silent": "yellow",
    "failed": "red",
    "died": "red",
    "unreadable": "red",
}


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder of run directories, one of them or a sweep, or its name."
        ),
    ] = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every 2 s.")] = False,
    no_queue: Annotated[
        bool, typer.Option("--no-queue", help="Do not ask the scheduler about the jobs.")
    ] = False,
) -> None:
    """Show every run: state, epoch, loss, speed, time left, last checkpoint, job and queue.

    A sweep is one row that counts its points; named by itself it is shown point by point.
    """
    if as_json and watch:
        raise ConfigError("--json and --watch exclude each other; give one of them")
    folder = _folder(folder)
    view = queue.View(no_queue)
    if as_json:
        states = _states(folder)
        jobs = view.look(states)
        pages = [as_dict(state, job=jobs.get(state.path)) for state in states]
        typer.echo(json.dumps(pages, indent=1))
    elif watch:
        _watch(folder, view)
    else:
        _show(folder, view)


def _folder(folder: Path) -> Path:
    """The folder whose runs are shown; of a sweep that of its points.

    Raises:
        ConfigError: there is none.
    """
    if folder == RUNS and not folder.is_dir():
        return folder  # nothing was rendered yet, which is no error
    found = find_folder(folder)
    if run_state.is_run(found) or not has_points(found):
        return found
    if problem := sweep_problem(found):
        typer.echo(f"note: {found}: {problem}; its points are runs all the same", err=True)
    return found / "points"


def as_dict(state: RunState, now: float | None = None, job: RunJob | None = None) -> dict[str, Any]:
    """One run for programs: the fields of state.json, what they amount to, and the path."""
    fields = {key: _json_value(value) for key, value in state.fields.items()}
    return {
        **fields,
        **queue.fields(job),
        "name": state.name,
        "path": str(state.path.resolve()),
        "status": state.text("status"),
        "verdict": state.verdict(now),
        "problem": state.problem,
    }


def row(state: RunState, now: float, job: RunJob | None = None) -> dict[str, str]:
    """One run for people: text by column, `-` for what is not known."""
    verdict = state.verdict(now)
    quiet = run_state.age(now - state.updated) if state.updated else None
    cells = {
        "run": state.name,
        "state": f"silent {quiet}" if verdict == "silent" and quiet else verdict,
        **queue.cells(job),
        "epoch": _of(state, "epoch", "epochs"),
        "step": _number(state.step, "{:.0f}"),
        "loss": _number(state.loss, "{:.4g}"),
        "samples/s": _number(state.number("samples_per_s"), "{:.1f}"),
        "overhead": _overhead(state),
        "left": _left(state, verdict, now),
        "checkpoint": _checkpoint(state),
        "updated": f"{quiet} ago" if quiet else "-",
        "note": _note(state, verdict),
    }
    return {key: value or "-" for key, value in cells.items()}


def _states(folder: Path) -> list[RunState]:
    """Runs and sweeps by name."""
    runs = [run_state.read(run) for run in run_state.find(folder)]
    sweeps = [sweep_state.read(sweep) for sweep in sweep_state.find(folder)]
    return sorted(runs + sweeps, key=lambda state: state.path)


def _rows(folder: Path, view: queue.View) -> list[dict[str, str]]:
    states = _states(folder)
    jobs = view.look(states)
    return [row(state, time.time(), jobs.get(state.path)) for state in states]


def _show(folder: Path, view: queue.View) -> None:
    rows = _rows(folder, view)
    if not rows:
        typer.echo(_nothing(folder))
    elif sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        console.print(_table(rows, console.width))
    else:
        typer.echo(_plain(rows))


def _watch(folder: Path, view: queue.View) -> None:
    """Show the table until the user interrupts."""
    if not sys.stdout.isatty():

        def show_below() -> None:
            _show(folder, view)
            typer.echo()

        _forever(show_below)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console()

    def frame() -> Group | str:
        rows = _rows(folder, view)
        return _table(rows, console.width) if rows else _nothing(folder)

    with Live(frame(), console=console, auto_refresh=False) as live:
        _forever(lambda: live.update(frame(), refresh=True))


def _forever(show: Callable[[], None]) -> None:
    try:
        while True:
            show()
            sys.stdout.flush()
            time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return


def _nothing(folder: Path) -> str:
    return f"no runs in {folder}/; make one with: hpctrain render mantle.yaml"


def _plain(rows: list[dict[str, str]]) -> str:
    """Aligned columns without colour or lines, two spaces apart."""
    columns = _columns(rows)
    lines = [dict(zip(columns, columns, strict=True)), *rows]
    width = {key: max(len(line[key]) for line in lines) for key in columns}
    return "\n".join(
        "  ".join(line[key].ljust(width[key]) for key in columns).rstrip() for line in lines
    )


def _columns(rows: list[dict[str, str]]) -> list[str]:
    """All columns but those that may be empty, and are."""
    return [key for key in rows[0] if key not in _SPARE or any(r[key] != "-" for r in rows)]


def _table(rows: list[dict[str, str]], width: int) -> Group:
    """A coloured table that fits a terminal, with the notes below it."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = _fitting(rows, width)
    for key in columns:
        table.add_column(key, justify="right" if key in _RIGHT else "left", no_wrap=True)
    for cells in rows:
        color = _COLORS.get(cells["state"].split()[0], "")
        # Text, not str: a run's name or message is never read as rich markup.
        texts = [Text(cells[key], style=color if key == "state" else "") for key in columns]
        table.add_row(*texts)
    notes = [Text(f"{r['run']}: {r['note']}") for r in rows if r["note"] != "-"]
    return Group(table, *notes)


def _fitting(rows: list[dict[str, str]], width: int) -> list[str]:
    """Columns that a terminal has room for; the least telling ones go first."""
    columns = [key for key in _columns(rows) if key != "note"]
    for spare in ("step", "checkpoint", "overhead", "updated", "samples/s"):
        # Three characters between two columns and one at either end.
        needed = sum(max(len(key), *(len(r[key]) for r in rows)) + 3 for key in columns) - 1
        if needed > width and spare in columns:
            columns.remove(spare)
    return columns


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _of(state: RunState, part: str, whole: str) -> str:
    done, total = state.number(part), state.number(whole)
    if done is None:
        return ""
    return f"{done:.0f}" if total is None else f"{done:.0f}/{total:.0f}"


def _left(state: RunState, verdict: str, now: float) -> str:
    eta = state.number("eta_s")
    if eta is None or verdict not in run_state.ACTIVE:
        return ""
    return run_state.duration(eta - (now - (state.updated or now)))


def _overhead(state: RunState) -> str:
    """The largest share of a step's time beside forward and backward, if it is worth a look."""
    shares = state.fields.get("shares")
    if not isinstance(shares, dict):
        return ""
    known = {key: run_state.finite(value) or 0.0 for key, value in shares.items()}
    known.pop("forward_backward", None)
    name = max(known, key=lambda key: known[key], default="")
    return f"{name} {known[name]:.0%}" if name and known[name] >= _OVERHEAD else ""


def _checkpoint(state: RunState) -> str:
    """Name of the newest checkpoint: as recorded, else where the link `latest` points."""
    recorded = state.text("checkpoint")
    if recorded:
        return Path(recorded).name
    try:
        return (state.path / "checkpoints" / "latest").readlink().name
    except OSError:
        return ""


def _note(state: RunState, verdict: str) -> str:
    if state.problem:
        return state.problem
    if verdict == "died":
        return f"process {state.text('pid')} is gone without a word; see {state.path}/logs"
    code = state.number("exit_code")
    exit_code = "" if verdict != "failed" or code is None else f"exit code {code:.0f}"
    said = ": ".join(filter(None, (exit_code, state.text("message"))))
    return said or _alarms(state) or _staging(state, verdict)


def _alarms(state: RunState) -> str:
    """What the training is alarmed about, such as a collapse."""
    page = state.fields.get("alarms")
    own = page.values() if isinstance(page, dict) else ()
    texts = [alarm["text"] for alarm in own if isinstance(alarm, dict) and "text" in alarm]
    return "; ".join(" ".join(str(text).split()) for text in texts)


def _staging(state: RunState, verdict: str) -> str:
    """How far copying to the nodes is, or what came of it, while the run is at work."""
    page = state.fields.get("staging")
    text = page.get("text") if isinstance(page, dict) else None
    return f"staging: {text}" if isinstance(text, str) and verdict in run_state.ACTIVE else ""


def _json_value(value: Any) -> Any:
    """NaN and infinity become null, as JSON has none."""
    if isinstance(value, dict):
        return {key: _json_value(inner) for key, inner in value.items()}
    return run_state.finite(value) if isinstance(value, float) else value
