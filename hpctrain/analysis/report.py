"""The report: one self-contained HTML page about a run, from the files in its directory.

The page asks the network for nothing: style, charts and pictures are inside it. It is written
also for a run that has not started, or that failed, with a sentence in place of what is missing.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hpctrain import __version__, run_state
from hpctrain.analysis import charts, facts, scroll_section, shell_charts
from hpctrain.analysis.charts import YARDSTICKS
from hpctrain.analysis.newest import stamp_like, stamp_of_newest
from hpctrain.analysis.predictions import find_predictions
from hpctrain.analysis.record import Record, read_record
from hpctrain.analysis.whole_files import NUMBERS, PICTURES
from hpctrain.errors import RenderError
from hpctrain.provenance import embed
from hpctrain.run_state import finite

TEMPLATE = "report.html.j2"


def write_report(run_dir: Path, out: Path | None = None, predictions: Sequence[Path] = ()) -> Path:
    """Write the report of a run.

    Args:
        run_dir: a run directory, in whatever state.
        out: the file to write; None: `report.html` in the run directory.
        predictions: folders that `hpctrain predict` wrote segments into, or single pages of them.

    Returns:
        The file that was written.

    Raises:
        ConfigError: `run_dir` is no run directory, or there is no prediction.
        RenderError: the page cannot be written.
    """
    path = Path(run_dir, "report.html") if out is None else Path(out)
    if path.is_dir():
        raise RenderError(f"{path}: is a folder; give a file, such as {path / 'report.html'}")
    record, stamp = read_record(Path(run_dir)), stamp_of_newest(Path(run_dir), "report")
    page = render(record, time.time(), _whole(record), find_predictions(record, predictions))
    part = path.with_name(f".{path.stem}.{os.getpid()}.part.html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        embed(part, stamp)
        part.replace(path)
    except OSError as e:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise RenderError(
            f"{path}: cannot be written ({e.strerror}); give another file with --out"
        ) from e
    return path


def _whole(record: Record) -> list[dict[str, str]]:
    """Pictures of whole fields, drawn now if need be; a failure is told on the page."""
    if not (record.path / "eval" / PICTURES).is_file():
        return []
    try:
        from hpctrain.analysis.globe_pictures import draw_whole  # matplotlib, where it is needed

        evaluated = record.path / "eval" / NUMBERS
        drawn = draw_whole(record.path, stamp_like(evaluated, record.path, "figure"))
    except ImportError as e:
        record.problems.append(f"whole fields are not drawn, as {e.name} is not installed")
        return []
    except (OSError, ValueError, LookupError, TypeError) as e:
        record.problems.append(
            f"eval/whole.json or whole.npz is damaged ({run_state.first_line(e)})"
        )
        return []
    kinds = {".png": "png", ".gif": "gif"}
    return [
        {
            "name": d.title,
            "note": d.note,
            "uri": _data_uri(d.path, f"image/{kinds[d.path.suffix]}"),
        }
        for d in drawn
    ]


def render(
    record: Record,
    now: float,
    whole: Sequence[Mapping[str, str]] = (),
    predictions: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page as text; the same record, time and pictures give the same page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = facts.number
    environment.filters["uri"] = _picture_uri
    return environment.get_template(TEMPLATE).render(
        name=record.state.name,
        verdict=record.state.verdict(now),
        sentence=facts.sentence(record, now),
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)),
        version=__version__,
        problems=record.problems,
        alarms=facts.alarms(record),
        scroll=scroll_section.section(record),
        predictions=predictions,
        is_validated=bool(record.validation),
        comparison=comparison(record.summary),
        speed=_speed(record),
        losses=charts.losses(record),
        rates=charts.rates(record),
        speeds=charts.speeds(record),
        shares=charts.shares(record),
        validations=charts.validations(record),
        variables=charts.variables(record),
        shells=shell_charts.shells(record),
        spectra=charts.spectra(record.spectra),
        pictures=_pictures(record),
        whole=whole,
        figures_epoch=record.figures_epoch,
        facts=facts.tables(record),
        launches=facts.launches(record),
        checkpoints=facts.checkpoints(record),
        config_text=record.config_text,
        log_name=record.log[0],
        log_text=record.log[1],
    )


def comparison(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Generator against its yardstick; None before the first validation, or without a yardstick."""
    found = _mapping(summary.get("rmse_normalized"))
    yardstick = next((name for name in YARDSTICKS if name in found), YARDSTICKS[0])
    rows = [
        _versus(label, summary.get(key), yardstick)
        for label, key in (
            ("RMSE, in units of each variable's scale", "rmse_normalized"),
            ("log-spectrum error", "log_spectrum_error"),
        )
    ]
    headline = [row for row in rows if row]
    if not headline:
        return None
    rmse = _mapping(summary.get("rmse"))
    ours, theirs = _mapping(rmse.get("generator")), _mapping(rmse.get(yardstick))
    variables = [
        _versus(str(v), {"generator": ours[v], yardstick: theirs.get(v)}, yardstick) for v in ours
    ]
    return {
        "epoch": finite(summary.get("epoch")),
        "samples": finite(summary.get("samples")),
        "yardstick": yardstick,
        "headline": headline,
        "variables": [row for row in variables if row],
    }


def _versus(label: str, pair: Any, yardstick: str) -> dict[str, Any] | None:
    """One line of the comparison: both errors, their ratio, and the ratio in words."""
    generator, theirs = (finite(_mapping(pair).get(k)) for k in ("generator", yardstick))
    if generator is None or theirs is None:
        return None
    ratio = generator / theirs if theirs > 0 else None
    others = {k: finite(_mapping(pair).get(k)) for k in YARDSTICKS if k != yardstick}
    errors = {"generator": generator, yardstick: theirs}
    errors |= {k: value for k, value in others.items() if value is not None}
    largest = max(errors.values()) or 1.0
    return {
        "label": label,
        **errors,
        "kinds": tuple(errors),
        "ratio": ratio,
        "is_better": generator < theirs,
        "words": _in_words(ratio, yardstick),
        "width": {kind: value / largest for kind, value in errors.items()},
    }


def _in_words(ratio: float | None, yardstick: str) -> str:
    name = "trilinear" if yardstick == "trilinear" else "the input"
    if ratio is None:
        return "trilinear upsampling is exact here" if name == "trilinear" else f"{name} is exact"
    if ratio >= 10:
        return f"{ratio:.0f} times that of {name}"
    percent = abs(1 - ratio) * 100
    if percent < 0.05:
        return f"the same as {name}"
    amount = f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"
    return f"{amount} {'below' if ratio < 1 else 'above'} {name}"


def _speed(record: Record) -> dict[str, Any]:
    """Samples per second now, and how far the training is."""
    state = record.state
    recent = finite(record.summary.get("samples_per_s")) or state.number("samples_per_s")
    times = [t for line in record.train if (t := finite(line.get("time"))) is not None]
    return {
        "samples_per_s": recent,
        "epoch": state.number("epoch"),
        "epochs": state.number("epochs"),
        "step": state.step,
        # Between first and last log line, so a pause between two starts counts too.
        "elapsed": run_state.duration(max(times) - min(times)) if len(times) > 1 else None,
    }


def _pictures(record: Record) -> list[dict[str, str]]:
    """The newest figures as data URIs, but for curves of which the page has the numbers."""
    pictures = []
    for name, path in record.figures.items():
        if (name == "spectra" and record.spectra) or (name == "errors_by_shell" and record.shells):
            continue
        try:
            pictures.append({"name": name, "uri": _data_uri(path, "image/png")})
        except OSError:
            continue
    return pictures


def _picture_uri(path: Path) -> str:
    """A PNG as data URI; empty where it is gone."""
    try:
        return _data_uri(path, "image/png")
    except OSError:
        return ""


def _data_uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
