"""The run script and rank.sh: from job and site to the words that templates place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.config.walltime import format_walltime
from hpctrain.engines import choose_engine
from hpctrain.launchers import Launcher
from hpctrain.launchers import choose_launcher as choose_launcher
from hpctrain.render.command import (
    command_lines,
    copy_lines,
    is_horovod_likely,
    unstage_lines,
)
from hpctrain.render.image import image_start, library_path
from hpctrain.render.inputs import Inputs
from hpctrain.render.paths import refuse_separators, refuse_unsafe_path
from hpctrain.render.shell import fill
from hpctrain.render.template import script_template
from hpctrain.render.undefined import Macros

SCRIPTS = {"pbs": "run.pbs", "slurm": "run.slurm", "cobalt": "run.cobalt", "local": "run.sh"}
"""Scheduler to the name of its run script."""


def run_script(job: Job, site: Site, inputs: Inputs) -> str:
    """Text of run.pbs, run.slurm, run.cobalt or run.sh."""
    refuse_separators(job, inputs.run_dir)
    if site.scheduler != "local":
        refuse_unsafe_path(inputs.run_dir, site.scheduler)
    template = script_template(job.launch.template, site.scheduler, Path(inputs.cwd))
    return fill(template, context(job, site, inputs), inputs.macros_place)


def rank_script(job: Job, site: Site) -> str:
    """Text of rank.sh."""
    facts: dict[str, Any] = {"site": site, "resources": job.resources}
    facts["binds_variable"] = choose_engine(job, site).binds_variable if job.container else ""
    return fill("schedulers/rank.sh.j2", facts)


def needs_pbs_rsh(job: Job, site: Site) -> bool:
    """Whether Open MPI may have to start its daemons through PBS."""
    kind = choose_launcher(job, site).spec.kind
    return site.scheduler == "pbs" and kind == "openmpi" and job.resources.nodes > 1


def context(job: Job, site: Site, inputs: Inputs) -> dict[str, Any]:
    """What templates of the run script may use; `VARIABLES` says what each is."""
    launcher = choose_launcher(job, site)
    ask = job.resources
    return {
        "job": job,
        "site": site,
        "resources": ask,
        "version": inputs.version,
        "run_dir": inputs.run_dir,
        "walltime": format_walltime(ask.walltime),
        "has_user_code": inputs.code.has_user_code,
        # a bare name is looked up in PATH and has no folder of its own
        "bin_dir": str(PurePosixPath(inputs.python).parent) if "/" in inputs.python else "",
        "launcher": _launcher_facts(job, launcher),
        "command_lines": command_lines(job, site, inputs, launcher, ["hpctrain.train"]),
        "unstage_lines": unstage_lines(job, site, inputs, launcher),
        "image": _image_facts(job, site, inputs, launcher),
        "gpus_per_node": _gpus_per_node(job, site),
        "filesystems": _filesystems(job, site),
        "pbs_name": _pbs_name(job.name),
        "chunk": _pbs_chunk(job, site),
        "cobalt_attrs": ":".join(
            [*site.directives.select, *filter(None, [_filesystems(job, site)])]
        ),
        "warning_s": _warning_s(job, site),
        "chain": _chain(job),
        "is_horovod_likely": is_horovod_likely(job),
        "extra_directives": [*site.directives.extra, *ask.directives],
        "macros": Macros(job.macros),
    }


def _warning_s(job: Job, site: Site) -> int:
    """How long before the end to ask for a checkpoint: at most a quarter of a short job's time."""
    return min(job.launch.warning_s or site.directives.warning_s, job.resources.walltime // 4)


def _chain(job: Job) -> dict[str, Any] | None:
    if job.chain is None:
        return None
    how = "resubmit" if job.chain.how == "auto" else job.chain.how
    return {"max_jobs": job.chain.max_jobs, "how": how}


def _launcher_facts(job: Job, launcher: Launcher) -> dict[str, Any]:
    is_torchrun, kind = job.launch.launcher == "torchrun", launcher.spec.kind
    return {
        "kind": "torchrun" if is_torchrun and kind == "none" else kind,
        "program": launcher.spec.command or launcher.program,
        "forwards_usr1": launcher.forwards_usr1 and not is_torchrun,  # USR1 kills its agents
        "is_torchrun": is_torchrun,
    }


def _image_facts(job: Job, site: Site, inputs: Inputs, launcher: Launcher) -> dict[str, Any] | None:
    if job.container is None:
        return None
    start = image_start(job, site, [])
    return {
        "path": job.container.image,
        "program": start.program,
        "exports": start.exports,
        "needs_user": start.needs_user,
        "apart": start.apart,
        "library_path": library_path(site),
        "copy_lines": copy_lines(job, site, inputs, launcher, "copy"),
        "remove_lines": copy_lines(job, site, inputs, launcher, "remove"),
    }


def _filesystems(job: Job, site: Site) -> str:
    option, names = site.directives.filesystems, job.resources.filesystems
    return option + site.directives.filesystems_separator.join(names) if option and names else ""


def _pbs_name(name: str) -> str:
    """A job name that `qsub -N` takes: letters, digits and -_+, a letter first (ck_job_name.c)."""
    plain = name.replace(".", "_")
    return plain if plain[0].isalpha() else f"job_{plain}"


def _gpus_per_node(job: Job, site: Site) -> int:
    """GPUs to ask for on each node: what the ranks need, or all of a node that comes whole."""
    needed = job.resources.ranks_per_node * job.resources.gpus_per_rank
    return (site.num_gpus or needed) if needed and site.whole_nodes else needed


def _pbs_chunk(job: Job, site: Site) -> str:
    ask = job.resources
    cpus = site.cpus_per_node if site.whole_nodes else ask.ranks_per_node * ask.cpus_per_rank
    gpus = _gpus_per_node(job, site)
    amounts = {"ncpus": cpus, "mpiprocs": ask.ranks_per_node, "ngpus": gpus or None}
    parts = [
        f"{name}={amount}"
        for name, amount in amounts.items()
        if amount is not None and name in site.directives.chunk
    ]
    if ask.memory_gb_per_node:
        parts.append(f"mem={ask.memory_gb_per_node}gb")
    return ":".join([*site.directives.select, *parts])
