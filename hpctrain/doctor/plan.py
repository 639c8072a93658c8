"""Which ranks the doctor starts: as the job would, as far as this place has room for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpctrain.config.job import Job, Resources
from hpctrain.config.site import Site
from hpctrain.doctor.place import Allocation
from hpctrain.launchers import choose_launcher

_FREE = ("openmpi", "hydra", "none")
"""Launchers that start processes on a machine which no scheduler has given."""

_CROWDING = ("openmpi", "hydra")
"""Launchers that start more ranks than a job has room for, where they are told to."""


@dataclass(frozen=True)
class Plan:
    """What is started.

    Attributes:
        job: the job, with the resources that are used.
        asked: ranks that the job would have; None: there is no job.
        refusal: why no rank may be started here; empty: they may.
        remedy: how to have them, or more of them, started.
        is_crowded: the job around has room for fewer.
    """

    job: Job
    asked: int | None = None
    refusal: str = ""
    remedy: str = ""
    is_crowded: bool = False

    @property
    def shape(self) -> str:
        """In words: 2 x 4 ranks."""
        ask = self.job.resources
        return f"{ask.nodes} x {ask.ranks_per_node} rank{'s' * (self.job.total_ranks > 1)}"

    def on(self, site: Site) -> Site:
        """The site, with a launcher that lets ranks share a place where they must."""
        if not self.is_crowded:
            return site
        roomy = {"oversubscribe": True, "cpu_bind": "none"}
        return site.model_copy(update={"launcher": site.launcher.model_copy(update=roomy)})


def make_plan(job: Job | None, site: Site, allocation: Allocation | None, num_gpus: int) -> Plan:
    """Decide what is started.

    Args:
        job: the user's; None: one of the doctor's own.
        site: the site.
        allocation: the job that the doctor runs in.
        num_gpus: GPUs that this host shows.
    """
    if job is None:
        plan = _own_plan(site, allocation, num_gpus)
        if allocation is not None:
            return plan
    else:
        plan = Plan(_with(job, _room(job, site, allocation, num_gpus)), job.total_ranks)
    refusal = _refusal(plan.job, site) if allocation is None and site.scheduler != "local" else ""
    return Plan(plan.job, plan.asked, refusal, _WAY_IN[site.scheduler] if refusal else "")


def _own_plan(site: Site, allocation: Allocation | None, num_gpus: int) -> Plan:
    """Ranks of the doctor's own: two at least, as one proves nothing."""
    shape, own = _own_shape(allocation, num_gpus), own_job(site.name)
    if allocation is None or shape["nodes"] * shape["ranks_per_node"] > 1:
        return Plan(_with(own, shape))
    remedy = _WAY_TO_TWO.get(allocation.scheduler, "ask inside a job with room for two")
    if site.launcher.kind in _CROWDING:
        return Plan(_with(own, {**shape, "ranks_per_node": 2}), remedy=remedy, is_crowded=True)
    return Plan(_with(own, shape), remedy=remedy)


_WAY_TO_TWO = {
    "slurm": "ask inside a job with room for two: `salloc --ntasks-per-node=2`",
    "pbs": "ask inside a job with room for two: `qsub -I -l select=1:mpiprocs=2`",
}
_WAY_IN = {
    "slurm": "ask again inside a job: `salloc -N 2`, then hpctrain doctor",
    "pbs": "ask again inside a job: `qsub -I -l select=2`, then hpctrain doctor",
    "cobalt": "ask again inside a job: `qsub -I -n 2 -t 10`, then hpctrain doctor",
    "local": "",
}


def _refusal(job: Job, site: Site) -> str:
    """Why ranks may not be started on a login node."""
    kind = choose_launcher(job, site).spec.kind
    if not site.login_ranks:
        return f"site {site.name} lets no ranks be started on login nodes (login_ranks: false)"
    if kind not in _FREE:
        return f"this is no job, and {kind} starts ranks only inside one"
    return ""


def _own_shape(allocation: Allocation | None, num_gpus: int) -> dict[str, int]:
    """Two ranks; in a job one on each node, or one for each GPU."""
    nodes, slots = (allocation.nodes, allocation.slots) if allocation else (1, None)
    if num_gpus > 1 or (num_gpus and nodes > 1):
        ranks, gpus = min(num_gpus, slots or num_gpus), 1
    else:
        ranks, gpus = (1 if nodes > 1 else min(2, slots or 2)), 0
    return {"nodes": nodes, "ranks_per_node": ranks, "gpus_per_rank": gpus}


def _room(job: Job, site: Site, allocation: Allocation | None, num_gpus: int) -> dict[str, int]:
    """The job's own shape, or as much of it as fits."""
    ask = job.resources
    if allocation is not None:
        return {"nodes": min(ask.nodes, allocation.nodes)}
    if site.scheduler == "local":
        return {}
    gpus = ask.gpus_per_rank if num_gpus >= ask.gpus_per_rank * 2 else 0
    return {"nodes": 1, "ranks_per_node": min(2, ask.ranks_per_node), "gpus_per_rank": gpus}


def _with(job: Job, changes: dict[str, int]) -> Job:
    resources: Resources = job.resources.model_copy(update=changes)
    own: dict[str, Any] = {"resources": resources}
    if job.container:  # read in its place: a copy on each node takes longer than all the rest
        own["container"] = job.container.model_copy(update={"copy_to_node": False})
    # a batch that the ranks divide is no matter here
    return job.model_copy(update=own)


def own_job(site: str, root: str = ".") -> Job:
    """A job of which nothing is used but its site, resources and launch."""
    data = {"kind": "fields", "root": root, "targets": ["*"], "variables": ["none"]}
    page = {
        "name": "doctor",
        "site": site,
        "resources": {"ranks_per_node": 2, "walltime": "00:10:00"},
        "data": {**data, "crop": [4, 4, 4]},
        "train": {
            "task": "super_resolution",
            "upscale_factor": 2,
            "epochs": 1,
            "global_batch_size": 2,
        },
    }
    return Job.model_validate(page)
