"""The run script and rank.sh: from job and site to the words that templates place."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from hpctrain.config.job import Container, Job
from hpctrain.config.site import LauncherSpec, Site
from hpctrain.config.walltime import format_walltime
from hpctrain.errors import RenderError
from hpctrain.launchers import Launcher, ShellVariable, make_launcher
from hpctrain.render.inputs import Inputs
from hpctrain.render.shell import fill, pack

SCRIPTS = {"pbs": "run.pbs", "slurm": "run.slurm", "cobalt": "run.cobalt", "local": "run.sh"}
"""Scheduler to the name of its run script."""

_OURS = [
    *(f"HPCTRAIN_{name}" for name in ("LAUNCH_ID", "JOB_ID", "DEADLINE", "TERMINAL")),
    *("HPCTRAIN_NODES", "HPCTRAIN_RANKS_PER_NODE"),
    *("OMP_NUM_THREADS", "PYTHONPATH", "PATH", "LD_LIBRARY_PATH"),
]


def run_script(job: Job, site: Site, inputs: Inputs) -> str:
    """Text of run.pbs, run.slurm, run.cobalt or run.sh."""
    _refuse_separators(job, inputs.run_dir)
    if site.scheduler != "local":
        _refuse_unsafe_path(inputs.run_dir, site.scheduler)
    return fill(f"schedulers/{site.scheduler}.sh.j2", _context(job, site, inputs))


def rank_script(job: Job, site: Site) -> str:
    """Text of rank.sh."""
    return fill("schedulers/rank.sh.j2", {"site": site, "resources": job.resources})


def needs_pbs_rsh(job: Job, site: Site) -> bool:
    """Whether Open MPI may have to start its daemons through PBS."""
    return site.scheduler == "pbs" and site.launcher.kind == "openmpi" and job.resources.nodes > 1


def _refuse_separators(job: Job, run_dir: str) -> None:
    # PYTHONPATH is cut at colons; --bind at colons and commas, and knows no way to quote them
    bad = ":," if job.container else ":"
    found = [c for c in bad if c in run_dir]
    if found:
        raise RenderError(
            f"{run_dir!r} has a {found[0]!r}, at which PYTHONPATH"
            f"{' or --bind' if job.container else ''} would cut it; render into another folder, "
            "with --out"
        )
    found = [c for c in bad if c in job.data.root] if job.container else []
    if found:
        raise RenderError(
            f"data.root: {job.data.root!r} has a {found[0]!r}, at which --bind would cut it; "
            "rename the folder, or train without a container"
        )


def _refuse_unsafe_path(run_dir: str, scheduler: str) -> None:
    # directives name the log folder, and Cobalt's know no quoting at all
    if not re.fullmatch(r"[A-Za-z0-9_.@+/-]+", run_dir):
        raise RenderError(
            f"{run_dir!r} cannot stand in a directive of {scheduler}; render into a folder whose "
            "path has only letters, digits and '_', '-', '.', '@', '+', with --out"
        )


def _context(job: Job, site: Site, inputs: Inputs) -> dict[str, Any]:
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
        "launcher": {
            "kind": launcher.spec.kind,
            "program": launcher.spec.command or launcher.program,
            "forwards_usr1": launcher.forwards_usr1,
        },
        "command_lines": _command_lines(job, site, inputs, launcher),
        "gpus_per_node": _gpus_per_node(job, site),
        "filesystems": _filesystems(job, site),
        "pbs_name": _pbs_name(job.name),
        "chunk": _pbs_chunk(job, site),
        "cobalt_attrs": ":".join(
            [*site.directives.select, *filter(None, [_filesystems(job, site)])]
        ),
        # no more than a quarter of a short job is given away to the warning
        "warning_s": min(site.directives.warning_s, ask.walltime // 4),
    }


def choose_launcher(job: Job, site: Site) -> Launcher:
    """The site's launcher; none where a single rank runs on this very machine."""
    if site.scheduler == "local" and job.total_ranks == 1:
        return make_launcher(LauncherSpec(kind="none"))
    return make_launcher(site.launcher)


def _command_lines(job: Job, site: Site, inputs: Inputs, launcher: Launcher) -> list[str]:
    env = [*_OURS, *sorted({*job.launch.env, *site.env})]
    lines = pack(launcher.command(job.resources, env))
    lines += ['/bin/sh "$run/rank.sh"']
    if job.container:
        lines += pack(_image_words(job, job.container, site))
    python = "python3" if job.container and not job.launch.python else inputs.python
    return [*lines, *pack([python, "-m", "hpctrain.train", ShellVariable("run")])]


def _image_words(job: Job, container: Container, site: Site) -> list[str]:
    words = [container.engine, "exec"]
    if job.resources.gpus_per_rank:
        words.append(site.container.gpu_flag)
    words += site.container.args
    # never --cleanenv: it would strip the rank variables and the mask
    for bind in dict.fromkeys([*site.container.binds, *container.binds, job.data.root]):
        words += ["--bind", bind]
    return [*words, "--bind", ShellVariable("run"), "--pwd", ShellVariable("run"), container.image]


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
    parts = [*site.directives.select, f"ncpus={cpus}", f"mpiprocs={ask.ranks_per_node}"]
    return ":".join([*parts, f"ngpus={gpus}"] if gpus else parts)
