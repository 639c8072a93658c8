"""One sentence on where a step's time goes, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from hpctrain.config.job import Job
from hpctrain.train.phases import Phase

WORTH_TELLING = 0.25
"""Share of a step's time beside the arithmetic from which on something should be done."""


def worst(shares: Mapping[Phase, float]) -> Phase | None:
    """The phase that takes most of the time beside forward and backward; None without shares."""
    others: dict[Phase, float] = {**shares}
    others.pop("forward_backward", None)
    if not others:
        return None
    phase: Phase = max(others, key=lambda phase: others[phase])
    return phase


def advise(shares: Mapping[Phase, float], job: Job, workers: int) -> str:
    """What takes time, and what to do.

    Args:
        shares: of a step's time, by phase.
        job: whose settings are named.
        workers: threads that read data.
    """
    phase = worst(shares)
    if phase is None or shares[phase] < WORTH_TELLING:
        share = shares.get("forward_backward", 0.0)
        return (
            f"forward and backward take {share:.0%}: nothing waits; to be faster, use more ranks, "
            "precision: bfloat16, or smaller networks"
        )
    begin = f"{shares[phase]:.0%} of the time"
    if phase == "data":
        return (
            f"{begin} is waiting for data, read by {_count(workers, 'thread')} a rank; raise "
            "data.workers and resources.cpus_per_rank, put the files on a faster disk, or convert "
            "them to npy"
        )
    if phase == "communication":
        return (
            f"{begin} is waiting for other ranks; take fewer ranks, or more samples a step with "
            f"train.accumulate (now {job.train.accumulate}) and train.global_batch_size (now "
            f"{job.train.global_batch_size}), and see that no rank is slower than the others"
        )
    if phase == "optimizer":
        return (
            f"{begin} is the optimizers' steps; a larger train.global_batch_size (now "
            f"{job.train.global_batch_size}) makes fewer of them"
        )
    return (
        f"{begin} is bookkeeping between short steps; raise train.log_every_steps (now "
        f"{job.train.log_every_steps}) or train.global_batch_size (now "
        f"{job.train.global_batch_size})"
    )


def _count(number: int, noun: str) -> str:
    return "the loop itself, no thread" if not number else f"{number} {noun}{'s' * (number > 1)}"
