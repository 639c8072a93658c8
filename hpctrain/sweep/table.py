"""What came of many runs: one row a run, from the files that each writes while it works."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hpctrain import run_state
from hpctrain.errors import ConfigError
from hpctrain.sweep.write import POINTS, TABLE

Row = dict[str, Any]
"""Value by column; None where it is not known."""

_LAST = ("epoch", "step", "loss")
_NOT_METRICS = (
    *("epoch", "step", "samples_per_s", "provenance"),
    *("samples", "windows", "pixels", "latent_dim", "span"),
)
"""In eval/summary.json: what state.json knows better, and facts about data and network."""
_NOT_PARAMETERS = ("name", "sweep", "after")


def collect(folder: Path) -> list[Row]:
    """One row a run of a sweep, or of a plain folder of runs; all rows have all columns.

    Raises:
        ConfigError: the folder holds no run.
    """
    is_sweep = (folder / POINTS).is_dir()
    runs = run_state.find(folder / POINTS if is_sweep else folder)
    if not runs:
        raise ConfigError(
            f"{folder}: no run directory in it; give a rendered sweep, or a folder of runs"
        )
    has_table = is_sweep and (folder / TABLE).is_file()
    parameters = _from_table(folder) if has_table else _differing(runs)
    rows = [_row(run, parameters.get(run.name, {})) for run in runs]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    # metrics stand in front of the last two, whichever run was the first to have them
    columns = [*(c for c in columns if c not in ("samples/s", "where")), "samples/s", "where"]
    return [{column: row.get(column) for column in columns} for row in rows]


def sort_rows(rows: list[Row], column: str) -> list[Row]:
    """Rows by one column, smallest first; those that do not have it yet come last.

    Raises:
        ConfigError: there is no such column.
    """
    names = {short: full for full, short in short_names(list(rows[0])).items()}
    column = names.get(column, column)
    if column not in rows[0]:
        near = difflib.get_close_matches(column, rows[0], 1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"--sort: unknown column {column!r}; choose from {', '.join(rows[0])}{hint}"
        )

    def key(row: Row) -> tuple[bool, bool, float, str]:
        value = row[column]
        number = run_state.finite(value)
        return (value is None, number is None, number or 0.0, str(value))

    return sorted(rows, key=key)


def short_names(columns: list[str]) -> dict[str, str]:
    """Column to its shortest end that no other column has: `learning_rate`."""

    def ends(column: str) -> list[str]:
        parts = column.split(".")
        return [".".join(parts[-n:]) for n in range(1, len(parts) + 1)]

    taken = [end for column in columns for end in ends(column)]
    return {c: next((e for e in ends(c) if taken.count(e) == 1), c) for c in columns}


def _row(run: Path, parameters: dict[str, Any]) -> Row:
    state = run_state.read(run)
    numbers = {"epoch": state.number("epoch"), "step": state.step, "loss": state.loss}
    return {
        "name": run.name,
        **parameters,
        "state": state.verdict(),
        **{key: _whole(numbers[key]) for key in _LAST},
        **_metrics(run),
        "samples/s": state.number("samples_per_s"),
        "where": str(run),
    }


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value


def _metrics(run: Path) -> dict[str, float]:
    """Numbers of eval/summary.json, at most one level down: `rmse_normalized/generator`."""
    try:
        page = json.loads((run / "eval" / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, float] = {}
    for key, value in page.items() if isinstance(page, dict) else ():
        inner = value if isinstance(value, dict) else {"": value}
        for name, leaf in inner.items():
            number = run_state.finite(leaf) if isinstance(leaf, int | float) else None
            if number is not None and key not in _NOT_METRICS:
                found[f"{key}/{name}" if name else key] = number
    return found


def _from_table(folder: Path) -> dict[str, dict[str, Any]]:
    """Parameters of each point, by its name, as sweep.csv has them."""
    try:
        with (folder / TABLE).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, csv.Error, UnicodeDecodeError) as e:
        raise ConfigError(f"{folder / TABLE}: cannot be read: {e}") from e
    return {
        str(row.get("name")): {
            key: _plain(value) for key, value in row.items() if key and key not in _KEYS
        }
        for row in rows
    }


_KEYS = ("index", "name")


def _plain(text: str | None) -> Any:
    """A cell as the number or the word that it is."""
    if not text:
        return None
    number = run_state.finite(text)
    return text if number is None else _whole(number)


def _differing(runs: list[Path]) -> dict[str, dict[str, Any]]:
    """Values of config.yaml that are not the same in all runs, by the run's name."""
    configs = {run.name: dict(_flat(_config(run))) for run in runs}
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    varied = [key for key in keys if len({json.dumps(c.get(key)) for c in configs.values()}) > 1]
    return {name: {key: config.get(key) for key in varied} for name, config in configs.items()}


def _config(run: Path) -> Any:
    try:
        return yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            if key or name not in _NOT_PARAMETERS:
                yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif key:
        yield key, value
