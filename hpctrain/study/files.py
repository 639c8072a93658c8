"""The answer on disk: a table, the same for programs with all curves, and a figure."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from hpctrain.errors import RenderError
from hpctrain.provenance import Stamp, embed, stamp_run
from hpctrain.provenance.run import file_digest, read_manifest, run_id
from hpctrain.study.answer import Answer
from hpctrain.study.record import Trained
from hpctrain.sweep.write import POINTS

NAMES = ("answer.csv", "answer.json", "answer.png", "answer.svg")


def write_answer(folder: Path, answer: Answer) -> Stamp:
    """Write answer.csv and answer.json, stamped; returns the stamp, which the figure carries too.

    A stamp leads to one run, the first that is done; answer.json names all of them.

    Raises:
        RenderError: they cannot be written.
    """
    runs = answer.runs
    first = next((run for run in runs if run.is_done), runs[0])
    stamp = stamp_run(folder / POINTS / first.name, "study")
    page: dict[str, Any] = {
        **{key: answer.page[key] for key in ("question", "asks", "equal", "job", "metric")},
        "answer": list(answer.sentences),
        "rows": list(answer.rows),
        "runs": [_run(folder, run) for run in runs],
        "plot": answer.plot,
    }
    try:
        for name, text in (
            ("answer.csv", _csv(answer)),
            ("answer.json", json.dumps(page, indent=1) + "\n"),
        ):
            path = folder / name
            part = path.with_name(f".{name}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
            embed(path, stamp)
    except OSError as e:
        raise RenderError(f"{folder}: the answer cannot be written: {e.strerror}") from e
    return stamp


def _run(folder: Path, run: Trained) -> dict[str, Any]:
    run_dir = folder / POINTS / run.name
    found = {"name": run.name, "state": run.state, "precision": run.precision or None}
    found["run_id"] = run_id(read_manifest(run_dir))
    return {**found, "config_digest": file_digest(run_dir / "config.yaml")}


def _csv(answer: Answer) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in answer.rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in answer.rows)
    return text.getvalue()
