"""`hpctrain report`: one HTML page about a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.registry import REPORT, resolve


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default RUN/report.html.")
    ] = None,
    prediction: Annotated[
        list[Path] | None,
        typer.Option(
            "--prediction",
            metavar="FOLDER",
            help="Show segments that `hpctrain predict` wrote there, too; may be given again.",
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page: curves, slices, spectra, what ran on what."""
    folder = find_run(run)
    page = resolve(REPORT)(folder, out, prediction or ())
    for line in headline(folder):
        typer.echo(line)
    for line in animations(folder):
        typer.echo(line)
    typer.echo(f"report: {page}")


def animations(run: Path) -> list[str]:
    """Where the films of `hpctrain evaluate`'s fields are, or what MP4s would need."""
    folder = run / "eval" / "whole"
    gifs = sorted(folder.glob("time_*.gif"))
    if not gifs:
        return []
    films = [gif.with_suffix(".mp4") for gif in gifs if gif.with_suffix(".mp4").is_file()]
    if films:
        return [f"animations: {folder}/time_*.gif and .mp4"]
    need = "for MP4 load the module of ffmpeg, or pip install 'hpctrain[movie]'"
    return [f"animations: {folder}/time_*.gif; {need}"]


def headline(run: Path) -> list[str]:
    """What eval/summary.json says in a few lines; empty before the first validation."""
    try:
        summary = json.loads((run / "eval" / "summary.json").read_text())
        scroll = _of_scrolls(summary)
        if scroll:
            return scroll
        rows = [
            ("RMSE", summary["rmse_normalized"]),
            ("log-spectrum error", summary["log_spectrum_error"]),
        ]
        lines = [
            f"{summary['samples']} samples that were not trained on, "
            f"after epoch {summary['epoch']}:"
        ]
        for name, values in rows:
            own = values["generator"]
            others = {k: value for k, value in values.items() if k != "generator"}
            told = "  ".join(_beside(own, k, v) for k, v in others.items())
            lines.append(f"  {name:18}  generator {_number(own)}  {told}".rstrip())
        lines.append(f"  {'training':18}  {summary['samples_per_s']:.1f} samples/s")
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
        return []  # the page itself says what is missing
    return lines


_OF_SCROLLS = {
    "windows": (
        *(("auc", "AUC"), ("f05", "F0.5"), ("f05_threshold", "at threshold"), ("dice", "Dice")),
        ("calibration_error", "calibration error"),
    ),
    "samples": (
        *(("psnr", "PSNR"), ("explained", "explained"), ("active_units", "active units")),
        ("loss", "loss"),
    ),
}
"""Numbers of runs on scrolls with their words, by what they count."""


def _of_scrolls(summary: dict[str, Any]) -> list[str]:
    """Numbers of ink and of a VAE; empty of other tasks."""
    for count, fields in _OF_SCROLLS.items():
        if count in summary and fields[0][0] in summary:
            what = "windows" if count == "windows" else "cubes"
            told = "  ".join(
                f"{label} {_number(summary[key])}" for key, label in fields if key in summary
            )
            return [
                f"{summary[count]} {what} that were not trained on, after epoch "
                f"{summary['epoch']}:",
                f"  {told}",
            ]
    return []


def _beside(own: float | None, kind: str, value: float | None) -> str:
    ratio = f" (ratio {own / value:.2f})" if value and own is not None else ""
    return f"{kind} {_number(value)}{ratio}"


def _number(value: float | None) -> str:
    """Null stands for what does not exist, such as a spectrum's error of constant fields."""
    return "–" if value is None else f"{value:.4f}"
