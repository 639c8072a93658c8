"""The script that a sweep hands in: one job array, or one job that runs all points."""

from __future__ import annotations

import itertools
from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.config.walltime import format_walltime
from hpctrain.launchers import choose_launcher
from hpctrain.render import Inputs
from hpctrain.render.script import SCRIPTS, context, run_script
from hpctrain.render.shell import fill
from hpctrain.sweep.plan import HOST_VARIABLES, Plan

_NODE_FILES = {"pbs": "PBS_NODEFILE", "cobalt": "COBALT_NODEFILE"}
"""What a scheduler calls the file of a job's nodes."""
_MARKS = {"pbs": "#PBS ", "slurm": "#SBATCH ", "cobalt": "#COBALT ", "local": "#!none"}


def sweep_scripts(
    job: Job, site: Site, inputs: Inputs, plan: Plan, num_points: int, width: int
) -> dict[str, str]:
    """Scripts of a sweep by file name: arrays or one ensemble; none where each point has its own.

    Args:
        job: the job that the points vary.
        site: the site as jobs of its queue see it.
        inputs: with the sweep's own folder as run directory.
        plan: how the points are handed in.
        num_points: how many there are.
        width: digits of a point's name.
    """
    if plan.how == "throttled":
        return {}
    words = {**_words(job, site, inputs, plan), "num_points": num_points, "width": width}
    stem, suffix = SCRIPTS[site.scheduler].split(".")
    if plan.how == "ensemble":
        header = directives(_whole(job, plan), site, inputs)
        return {f"{stem}.{suffix}": fill("schedulers/ensemble.sh.j2", {**words, "header": header})}
    own = directives(job, site, inputs)
    firsts = itertools.accumulate(plan.parts, initial=0)
    scripts = {}
    for number, (first, count) in enumerate(zip(firsts, plan.parts, strict=False), 1):
        part = f"-{number}" if len(plan.parts) > 1 else ""
        header = array_directives(own, site.scheduler, inputs.run_dir, count, plan.max_running)
        text = {**words, "header": header, "first": first, "count": count}
        scripts[f"{stem}{part}.{suffix}"] = fill("schedulers/array.sh.j2", text)
    return scripts


def directives(job: Job, site: Site, inputs: Inputs) -> list[str]:
    """The directive lines of a job's run script, as its template writes them."""
    lines = run_script(job, site, inputs).splitlines()[1:]
    mark = _MARKS[site.scheduler]
    return list(itertools.takewhile(lambda line: line.startswith(mark), lines))


def array_directives(
    lines: list[str], scheduler: str, run_dir: str, count: int, max_running: int | None
) -> list[str]:
    """Directives of one job as those of an array: a log file for each element, and how many."""
    at_once = f"%{max_running}" if max_running and max_running < count else ""
    if scheduler == "slurm":
        logs = (f"{run_dir}/logs/%j.out", f"{run_dir}/logs/%A_%a.out")
        array = f"#SBATCH --array=0-{count - 1}{at_once}"
    else:
        logs = (f"-o {run_dir}/logs/", f"-o {run_dir}/logs/^array_index^.out")
        array = f"#PBS -J 0-{count - 1}{at_once}"
    return [*(line.replace(*logs) for line in lines), array]


def _whole(job: Job, plan: Plan) -> Job:
    """The job with the nodes of all slots."""
    nodes = job.resources.nodes * plan.slots
    return job.model_copy(update={"resources": job.resources.model_copy(update={"nodes": nodes})})


def whole_job(job: Job, plan: Plan) -> Job:
    """The job as the queue sees it: an ensemble asks for the nodes of all its slots."""
    return _whole(job, plan) if plan.how == "ensemble" else job


def _words(job: Job, site: Site, inputs: Inputs, plan: Plan) -> dict[str, Any]:
    """What the templates of arrays and ensembles may use."""
    launcher = choose_launcher(job, site).spec
    named = [launcher.hostfile_variable, _NODE_FILES.get(site.scheduler)]
    own = [*filter(None, named), *HOST_VARIABLES.get(launcher.kind, ())]
    return {
        "job": job,
        "site": site,
        "resources": job.resources,
        "version": inputs.version,
        "run_dir": inputs.run_dir,
        "script": SCRIPTS[site.scheduler],
        "walltime": format_walltime(job.resources.walltime),
        "warning_s": context(job, site, inputs)["warning_s"],
        "plan": plan,
        "host_variables": list(dict.fromkeys(own)),
    }
