"""The run script and rank.sh: from job and site to the words that templates place."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from hpctrain.config.binds import stage_folder
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.config.walltime import format_walltime
from hpctrain.engines import choose_engine
from hpctrain.errors import RenderError
from hpctrain.launchers import Launcher
from hpctrain.launchers import choose_launcher as choose_launcher
from hpctrain.launchers.torchrun import agent_resources, agent_words
from hpctrain.render.image import RUN as _RUN
from hpctrain.render.image import image_start, library_path
from hpctrain.render.inputs import Inputs
from hpctrain.render.shell import fill, pack
from hpctrain.render.template import script_template
from hpctrain.render.undefined import Macros
from hpctrain.shell_words import ShellText, ShellVariable

SCRIPTS = {"pbs": "run.pbs", "slurm": "run.slurm", "cobalt": "run.cobalt", "local": "run.sh"}
"""Scheduler to the name of its run script."""

SLOT_OPTIONS = {"openmpi": "--hostfile", "pals": "--hostfile", "hydra": "-f"}
"""Options that keep a launcher to the hosts in a file, of those that need one to be told."""

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
        "command_lines": _command_lines(job, site, inputs, launcher, ["hpctrain.train"]),
        "unstage_lines": _unstage_lines(job, site, inputs, launcher),
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
        "is_horovod_likely": _is_horovod_likely(job),
        "extra_directives": [*site.directives.extra, *ask.directives],
        "macros": Macros(job.macros),
    }


def _warning_s(job: Job, site: Site) -> int:
    """How long before the end to ask for a checkpoint: at most a quarter of a short job's time."""
    return min(job.launch.warning_s or site.directives.warning_s, job.resources.walltime // 4)


def _is_horovod_likely(job: Job) -> bool:
    """Whether Horovod may send gradients in buckets; Adasum sends each tensor by itself."""
    is_asked = job.launch.comm in ("auto", "horovod") and job.launch.launcher != "torchrun"
    return is_asked and job.total_ranks > 1 and job.train.reduction.op == "mean"


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


def _unstage_lines(job: Job, site: Site, inputs: Inputs, launcher: Launcher) -> list[str]:
    """The command that takes copies away from the nodes; started like the ranks."""
    folder = stage_folder(job, site.scratch)
    if folder is None:
        return []
    return _command_lines(job, site, inputs, launcher, ["hpctrain.staging", folder])


def _command_lines(
    job: Job, site: Site, inputs: Inputs, launcher: Launcher, module: list[str]
) -> list[str]:
    env = _names(job, site)
    image, names = _image(job, site, env)
    env += names
    python = "python3" if job.container and not job.launch.python else inputs.python
    rank, train = '/bin/sh "$run/rank.sh"', pack([python, "-m", *module, _RUN])
    if job.launch.launcher != "torchrun":
        slot = _slot_hosts(launcher) if inputs.is_slot else []
        return [*pack(launcher.command(job.resources, env)), *slot, rank, *image, *train]
    ask = job.resources
    if ask.nodes > 1:
        ask = agent_resources(ask, launcher)
    # agents and ranks are of one Python, so both are inside the image, rank.sh between them
    agents = [*pack(launcher.command(ask, env)), *image, *pack(agent_words(python, job.resources))]
    return [*agents, rank, *train]


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
        "copy_lines": _copy_lines(job, site, inputs, launcher, "copy"),
        "remove_lines": _copy_lines(job, site, inputs, launcher, "remove"),
    }


def _names(job: Job, site: Site) -> list[str]:
    """Variables that every rank must get."""
    scratch = ["HPCTRAIN_SCRATCH"] if site.scratch else []
    horovod = ["HOROVOD_FUSION_THRESHOLD"] if _is_horovod_likely(job) else []
    return [*_OURS, *scratch, *horovod, *sorted({*job.launch.env, *site.env})]


def _image(job: Job, site: Site, env: list[str]) -> tuple[list[str], list[str]]:
    """Lines in front of the program, and variables that must reach every rank for them."""
    if job.container is None:
        return [], []
    start = image_start(job, site, env)
    return pack(start.words), start.names


def _copy_lines(job: Job, site: Site, inputs: Inputs, launcher: Launcher, verb: str) -> list[str]:
    """The command by which one process of each node copies the image there, or removes it."""
    copied = image_start(job, site, []).copied if job.container else ()
    if not copied:
        return []
    digest = [ShellVariable("image_digest")] if verb == "copy" else []
    script = ShellText(_RUN, "/image.sh")
    words = pack(["/bin/sh", script, verb, *copied, *digest])
    ask, rank = job.resources, ['/bin/sh "$run/rank.sh"']
    if job.launch.launcher == "torchrun":
        rank = []
        ask = agent_resources(ask, launcher) if ask.nodes > 1 else ask
    return [*pack(launcher.command(ask, _names(job, site))), *rank, *words]


def _slot_hosts(launcher: Launcher) -> list[str]:
    """Keeps a run to its share of a job's nodes; started by itself it has all of its own job's."""
    option = SLOT_OPTIONS.get(launcher.spec.kind)
    if option is None or launcher.spec.hostfile_variable:
        return []  # a variable does it
    return [f'${{HPCTRAIN_HOSTFILE:+{option} "$HPCTRAIN_HOSTFILE"}}']


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
