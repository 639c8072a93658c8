"""Which settings belong to a run: those that decide the samples, the rates and the updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpctrain.config.job import Job

_FREE = {
    "activation_checkpointing",
    "alarms",
    "checkpoints",
    "compile",
    "deterministic",
    "figures_every_epochs",
    "log_every_steps",
    "memory_format",
    "precision",
    "validate_every_epochs",
    "watchdog_s",
}
"""Settings that change neither the samples nor the updates; precision has its own rule."""
_FREE_DATA = {"root", "workers", "prefetch_batches", "stage", "stage_dir"}


def run_facts(job: Job) -> dict[str, Any]:
    """Settings that may not change while a run goes on."""
    excluded: dict[str, Any] = {**dict.fromkeys(_FREE, True), "reduction": {"bucket_mb"}}
    train = job.train.model_dump(mode="json", exclude=excluded)
    free = _FREE_DATA | ({"order"} if job.data.order.kind == "global" else set())
    if not job.data.crop_stages:
        free |= {"crop_stages"}  # as in checkpoints of before there were such
    return {**train, "data": job.data.model_dump(mode="json", exclude=free)}


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Facts that differ, each with its old and new value."""
    return [
        f"{key} {saved.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(saved.keys() | now.keys())
        if saved.get(key) != now.get(key)
    ]
