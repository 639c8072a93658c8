"""How the ranks talk: settings of `launch.comm` and `train.reduction` that do not fit together."""

from __future__ import annotations

from hpctrain.config.finding import Finding, error, warning
from hpctrain.config.job import Job
from hpctrain.config.reduction import Reduction
from hpctrain.config.site import Site


def exchange_findings(job: Job, site: Site) -> list[Finding]:
    """What Horovod, torch's DDP or MPI cannot do, and what would do nothing."""
    found = [f for part in (_adasum, _compression, _batch_norm) for f in part(job)]
    train = job.train
    is_default = type(train).model_fields["sync_batch_norm"].default
    has_options = train.reduction != Reduction() or train.sync_batch_norm and not is_default
    if job.total_ranks == 1 and has_options and not found:
        text = "reduction and sync_batch_norm do nothing with one rank"
        found.append(warning("train.reduction", text))
    return found


def _adasum(job: Job) -> list[Finding]:
    if job.train.reduction.op != "adasum":
        return []
    where, ranks, comm = "train.reduction.op", job.total_ranks, job.launch.comm
    if comm not in ("auto", "horovod") or job.launch.launcher == "torchrun":
        text = "found 'adasum', which only Horovod has; choose mean, or launch.comm: horovod"
        return [error(where, text)]
    if ranks & (ranks - 1):
        text = f"found 'adasum' for {ranks} ranks; it needs 2, 4, 8, ...; choose mean"
        return [error(where, text)]
    if job.train.last_batch == "keep":
        text = "found 'adasum', which cannot weigh the unequal shares of a short batch"
        return [error(where, f"{text}; choose last_batch: drop, or mean")]
    return []


def _compression(job: Job) -> list[Finding]:
    asked = job.train.reduction.compression
    if asked == "bfloat16" and job.launch.comm == "horovod":
        text = "found 'bfloat16', which Horovod cannot send; choose float16, or launch.comm: ddp"
        return [error("train.reduction.compression", text)]
    if asked == "bfloat16" and job.train.reduction.op == "adasum":
        text = "found 'bfloat16', and Adasum is Horovod's, which cannot send it; choose float16"
        return [error("train.reduction.compression", text)]
    return []


def _batch_norm(job: Job) -> list[Finding]:
    train, found = job.train, []
    for option in ("compile", "activation_checkpointing"):
        if train.sync_batch_norm and getattr(train, option):
            text = f"does not go with train.{option}, which would take its exchange apart"
            found.append(error("train.sync_batch_norm", f"{text}; leave one of them out"))
    return found
