"""Runs of a study as they would be read, and the study.json that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpctrain.config.load import Resolved, read_job, resolve
from hpctrain.study.questions import QUESTIONS
from hpctrain.study.record import Moment, Trained
from tests.jobs import REPO


def job(name: str, *settings: str) -> Resolved:
    """A shipped job on this machine, with `--set` values."""
    return resolve(read_job(Path(f"jobs/{name}.yaml"), settings, REPO), "local")


def page(question: str, labels: list[str], **more: Any) -> dict[str, Any]:
    """study.json with arms of these names, compared by `loss`."""
    return {
        "question": question,
        "asks": QUESTIONS[question].asks,
        "equal": QUESTIONS[question].equal,
        "is_timed": QUESTIONS[question].is_timed,
        "job": "small",
        "metric": "loss",
        "rising": ["psnr"],
        "loss": "vae",
        "rate": 3e-4,
        "schedule": "constant",
        "clock": "wall",
        "arms": [{"label": label, "values": {}, "columns": {"arm": label}} for label in labels],
        **more,
    }


def trained(
    arm: int, losses: list[float], seed: int = 0, step_s: float = 1.0, **more: Any
) -> Trained:
    """A run of ten steps of 8 samples an epoch, with one validation loss an epoch."""
    training = tuple(
        Moment(80 * (i + 1), 10 * step_s * (i + 1), {"loss/vae": loss - 0.5})
        for i, loss in enumerate(losses)
    )
    validation = tuple(
        Moment(m.samples, m.seconds, {"loss": loss})
        for m, loss in zip(training, losses, strict=True)
    )
    own: dict[str, Any] = {"state": "finished", "by_distance": {}, **more}
    name = f"{seed}{arm}"
    return Trained(
        name,
        arm,
        seed,
        own["state"],
        10 * len(losses),
        own.get("training", training),
        validation,
        own["by_distance"],
        own.get("precision", ""),
    )
