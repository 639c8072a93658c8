"""A schedule belongs to its run: changing it on resume is refused unless asked for."""

from __future__ import annotations

from typing import Any

from hpctrain.config.job import Job
from hpctrain.errors import CheckpointError

_FREE = {
    "checkpoints",
    "deterministic",
    "figures_every_epochs",
    "log_every_steps",
    "activation_checkpointing",
    "compile",
    "memory_format",
    "precision",
    "validate_every_epochs",
}
"""Settings that change neither the samples nor the updates; precision has its own rule."""
_FREE_DATA = {"root", "workers", "prefetch_batches"}


def schedule_facts(job: Job, steps_per_epoch: int, index_digest: str) -> dict[str, Any]:
    """What decides the samples, the learning rate and the update at each step."""
    excluded: dict[str, Any] = {**dict.fromkeys(_FREE, True), "reduction": {"bucket_mb"}}
    train = job.train.model_dump(mode="json", exclude=excluded)
    data = job.data.model_dump(mode="json", exclude=_FREE_DATA)
    return {**train, "data": data, "steps_per_epoch": steps_per_epoch, "index": index_digest}


def check_schedule(
    saved: dict[str, Any], now: dict[str, Any], *, is_allowed: bool, step: int = 0
) -> None:
    """Refuse a resume that would silently change the schedule.

    Args:
        saved: facts of the checkpoint.
        now: facts of the job as it is.
        is_allowed: the user insists on the change.
        step: steps done within the epoch when the checkpoint was written.

    Raises:
        CheckpointError: names every changed field with its old and new value.
    """
    changed = [
        f"{key} {saved.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(saved.keys() | now.keys())
        if saved.get(key) != now.get(key)
    ]
    if saved["steps_per_epoch"] != now["steps_per_epoch"] and step:
        raise CheckpointError(
            f"the checkpoint lies within an epoch of {saved['steps_per_epoch']} steps, which now "
            f"has {now['steps_per_epoch']} ({'; '.join(changed)}): no step of the new epoch is the "
            "one to go on with; take those settings back, or start from a checkpoint at the end "
            "of an epoch"
        )
    if changed and not is_allowed:
        raise CheckpointError(
            f"the checkpoint was made under another schedule ({'; '.join(changed)}); going on "
            "would change the learning rate or the samples in mid-training: render a new run, or "
            "start the trainer with --allow-schedule-change"
        )
