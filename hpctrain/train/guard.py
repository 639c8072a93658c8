"""A schedule belongs to its run: changing it on resume is refused unless asked for."""

from __future__ import annotations

from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.run_facts import differences, run_facts
from hpctrain.errors import CheckpointError


def schedule_facts(job: Job, steps_per_epoch: int, index_digest: str) -> dict[str, Any]:
    """What decides the samples, the learning rate and the update at each step."""
    return {**run_facts(job), "steps_per_epoch": steps_per_epoch, "index": index_digest}


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
    changed = differences(saved, now)
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
