"""Which settings belong to a run: those that decide the samples, the rates and the updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_FREE_OF_PAIRS = {"augment_on", "cache", "cache_dir", "cache_limit_gb"}
_LATER: dict[tuple[str, ...], Any] = {
    ("adversary", "critic_batches"): "separate",
    ("adversary", "spectral_weight"): 0.0,
}
"""Settings that checkpoints of before lack, with the value that stands for what they did."""
_NAMES = {("adversary", "preset")}
"""Settings that only stand for others, which are compared themselves."""
_LONGEST = 100
"""Letters of a value in a message."""


def run_facts(job: Job) -> dict[str, Any]:
    """Settings that may not change while a run goes on."""
    excluded: dict[str, Any] = {**dict.fromkeys(_FREE, True), "reduction": {"bucket_mb"}}
    train = job.train.model_dump(mode="json", exclude=excluded)
    free = _FREE_DATA | ({"order"} if job.data.order.kind == "global" else set())
    if job.data.kind == "pairs":
        free |= _FREE_OF_PAIRS
    if not job.data.crop_stages:
        free |= {"crop_stages"}  # as in checkpoints of before there were such
    return {**train, "data": job.data.model_dump(mode="json", exclude=free)}


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Facts that differ, each with its old and new value: `adversary.critic_steps 5 -> 1`."""
    return list(_differences(saved, now, ()))


def _differences(
    saved: Mapping[str, Any], now: Mapping[str, Any], at: tuple[str, ...]
) -> Iterator[str]:
    has_one_kind = saved.get("kind") == now.get("kind")
    for name in sorted(saved.keys() | now.keys()):
        key = (*at, name)
        old, new = (facts.get(name, _LATER.get(key)) for facts in (saved, now))
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, key)
        elif old != new and key not in _NAMES and (has_one_kind or name in saved.keys() & now):
            yield f"{'.'.join(key)} {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
