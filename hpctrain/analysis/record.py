"""Everything that a run directory says of itself, read without trust in any of it.

A run may have been killed at any moment, so each file may be missing, torn or old. What cannot
be read becomes one sentence in `problems`, and the rest is shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hpctrain import run_state
from hpctrain.analysis.whole_files import CUBES, SEGMENTS
from hpctrain.errors import ConfigError
from hpctrain.run_state import RunState, finite

LOG_TAIL_BYTES = 8192

_FIGURE = re.compile(r"epoch_(\d+)_(.+)\.png")


@dataclass(frozen=True)
class Checkpoint:
    """One file below checkpoints/."""

    name: str
    size: int
    modified: float
    is_latest: bool


@dataclass
class Record:
    """A run directory's files as plain values; empty where a file is missing.

    Attributes:
        path: the run directory.
        state: state.json.
        config: config.yaml, resolved; `config_text` is the file itself.
        site: site.yaml.
        source: code/SOURCE.json: digest and revision of the code.
        index: index.json: root, counts, digest.
        launches: one entry a start of the training, from manifest.json.
        train: lines of logs/metrics.jsonl of kind `train`, one a step.
        validation: lines of kind `validation`, one an epoch.
        summary: eval/summary.json.
        spectra: eval/spectra.json.
        shells_page: eval/shells.json.
        shells: lines of kind `shells`, one an epoch.
        alarms: lines of kind `alarm`, in the order in which they were written.
        ink: eval/ink.json: curves of the last validation.
        segments: eval/segments.json; `cubes`: eval/cubes.json: what `hpctrain evaluate` found.
        figures: newest figure of each variable.
        figures_epoch: the epoch they belong to.
        checkpoints: files below checkpoints/, oldest first.
        log: name and last lines of the newest log file.
        problems: sentences on what could not be read or does not fit.
    """

    path: Path
    state: RunState
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    site: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    index: dict[str, Any] = field(default_factory=dict)
    launches: list[dict[str, Any]] = field(default_factory=list)
    train: list[dict[str, Any]] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    spectra: dict[str, Any] = field(default_factory=dict)
    shells_page: dict[str, Any] = field(default_factory=dict)
    shells: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    ink: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, Any] = field(default_factory=dict)
    cubes: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    figures_epoch: int | None = None
    checkpoints: list[Checkpoint] = field(default_factory=list)
    log: tuple[str, str] = ("", "")
    problems: list[str] = field(default_factory=list)


def read_record(run_dir: Path) -> Record:
    """Read a run directory.

    Raises:
        ConfigError: it is none.
    """
    if not run_state.is_run(run_dir):
        raise ConfigError(
            f"{run_dir}: no state.json or config.yaml in it; "
            "give a run directory that `hpctrain render` wrote"
        )
    record = Record(run_dir, run_state.read(run_dir))
    if record.state.problem:
        record.problems.append(record.state.problem)
    record.config_text = _text(record, "config.yaml")
    record.config = _mapping(record, "config.yaml", yaml.safe_load)
    record.site = _mapping(record, "site.yaml", yaml.safe_load)
    record.source = _mapping(record, "code/SOURCE.json", json.loads)
    record.index = _mapping(record, "index.json", json.loads)
    launches = _mapping(record, "manifest.json", json.loads).get("launches", [])
    record.launches = [entry for entry in launches if isinstance(entry, dict)]
    record.summary = _mapping(record, "eval/summary.json", json.loads)
    record.spectra = _mapping(record, "eval/spectra.json", json.loads)
    record.shells_page = _mapping(record, "eval/shells.json", json.loads)
    record.ink = _mapping(record, "eval/ink.json", json.loads)
    record.segments = _mapping(record, f"eval/{SEGMENTS}", json.loads)
    record.cubes = _mapping(record, f"eval/{CUBES}", json.loads)
    _read_metrics(record)
    _read_figures(record)
    _check_index(record)
    record.checkpoints = _checkpoints(run_dir / "checkpoints")
    record.log = _log_tail(run_dir / "logs")
    return record


def series(lines: list[dict[str, Any]], x: str, y: str) -> tuple[list[float], list[float | None]]:
    """Two columns of metrics; lines without the field `y` are left out, NaN becomes None."""
    chosen = [(finite(line.get(x)), finite(line[y])) for line in lines if y in line]
    return [a for a, _ in chosen if a is not None], [b for a, b in chosen if a is not None]


def keys(lines: list[dict[str, Any]], prefix: str) -> list[str]:
    """Fields that begin with a prefix, in the order in which they first appear."""
    return list(dict.fromkeys(key for line in lines for key in line if key.startswith(prefix)))


def _text(record: Record, name: str) -> str:
    try:
        return (record.path / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as e:
        record.problems.append(f"{name} cannot be read ({e.strerror})")
        return ""


def _mapping(record: Record, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    text = _text(record, name)
    if not text:
        return {}
    try:
        content = parse(text)
    except (ValueError, yaml.YAMLError) as e:
        record.problems.append(f"{name} is damaged ({run_state.first_line(e)})")
        return {}
    if isinstance(content, dict):
        return content
    record.problems.append(f"{name} is damaged (no mapping)")
    return {}


def _read_metrics(record: Record) -> None:
    """Sort the lines of metrics.jsonl; a step that was made again replaces its first try."""
    train: dict[float, dict[str, Any]] = {}
    validation: dict[float, dict[str, Any]] = {}
    shells: dict[float, dict[str, Any]] = {}
    torn = 0
    for line in _lines(_text(record, "logs/metrics.jsonl")):
        step = finite(line.get("step")) if line else None
        epoch = finite(line.get("epoch")) if line else None
        if not line or step is None or epoch is None:
            torn += 1
        elif line.get("kind") == "train":
            train[step] = line
        elif line.get("kind") == "validation":
            validation[epoch] = line
        elif line.get("kind") == "shells":
            shells[epoch] = line
        elif line.get("kind") == "alarm":
            record.alarms.append(line)
    record.train = [train[step] for step in sorted(train)]
    record.validation = [validation[epoch] for epoch in sorted(validation)]
    record.shells = [shells[epoch] for epoch in sorted(shells)]
    if torn:
        lines = "1 line" if torn == 1 else f"{torn} lines"
        record.problems.append(f"logs/metrics.jsonl: {lines} torn or not a measurement, left out")


def _lines(text: str) -> Iterator[dict[str, Any] | None]:
    """Each line's content, or None for a torn one."""
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            content = None
        if line.strip():
            yield content if isinstance(content, dict) else None


def _read_figures(record: Record) -> None:
    """The newest figure of each variable, those that the validation names first."""
    newest: dict[str, tuple[int, Path]] = {}
    for path in sorted((record.path / "eval" / "figures").glob("epoch_*.png")):
        match = _FIGURE.fullmatch(path.name)
        if match and int(match[1]) >= newest.get(match[2], (-1, path))[0]:
            newest[match[2]] = int(match[1]), path
    first = [v for v in record.summary.get("variables") or [] if v in newest]
    names = list(dict.fromkeys([*first, *sorted(newest)]))
    record.figures = {name: newest[name][1] for name in names}
    record.figures_epoch = max((epoch for epoch, _ in newest.values()), default=None)


def _check_index(record: Record) -> None:
    """Compare the frozen index with the digest that was taken of it."""
    expected = record.index.get("digest")
    path = record.path / "index.csv"
    if not expected or not path.is_file():
        return
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        record.problems.append(
            f"index.csv was changed after it was written: its digest is {found[:12]}…, "
            f"index.json says {str(expected)[:12]}…"
        )


def _checkpoints(folder: Path) -> list[Checkpoint]:
    try:
        latest = (folder / "latest").readlink().name
    except OSError:
        latest = ""
    found = []
    for path in folder.glob("state_*.pt"):
        try:
            status = path.stat()
        except FileNotFoundError:  # a training that goes on has just deleted it
            continue
        found.append(Checkpoint(path.name, status.st_size, status.st_mtime, path.name == latest))
    return sorted(found, key=lambda c: (c.modified, c.name))


def _log_tail(folder: Path) -> tuple[str, str]:
    """Name and last lines of the newest log of the job, without terminal control codes."""
    logs = [p for p in folder.glob("*") if p.is_file() and p.suffix not in (".jsonl", ".tmp")]
    if not logs:
        return "", ""
    newest = max(logs, key=lambda p: p.stat().st_mtime)
    with newest.open("rb") as file:
        file.seek(max(0, newest.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).replace("\r", "\n")
    return newest.name, "\n".join(text.splitlines()[-40:])
