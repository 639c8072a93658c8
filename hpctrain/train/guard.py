"""A schedule belongs to its run: changing it on resume is refused unless asked for."""

from __future__ import annotations

from typing import Any

from hpctrain.config.training import Training
from hpctrain.errors import CheckpointError

_FIELDS = (
    "epochs",
    "global_batch_size",
    "accumulate",
    "schedule",
    "optimizer",
    "adversary",
    "seed",
)


def schedule_facts(settings: Training, steps_per_epoch: int) -> dict[str, Any]:
    """What decides the learning rate and the order of samples at each step."""
    everything = settings.model_dump(mode="json")
    facts = {key: everything[key] for key in _FIELDS if key in everything}
    return {**facts, "steps_per_epoch": steps_per_epoch}


def check_schedule(saved: dict[str, Any], now: dict[str, Any], *, is_allowed: bool) -> None:
    """Refuse a resume that would silently change the schedule.

    Raises:
        CheckpointError: names every changed field with its old and new value.
    """
    changed = [
        f"{key} {saved.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(saved.keys() | now.keys())
        if saved.get(key) != now.get(key)
    ]
    if changed and not is_allowed:
        raise CheckpointError(
            f"the checkpoint was made under another schedule ({'; '.join(changed)}); going on "
            "would change the learning rate or the samples in mid-training: render a new run, or "
            "start the trainer with --allow-schedule-change"
        )
