"""The words that start ranks: launcher, rank.sh, image and program, as lines of a script."""

from __future__ import annotations

from hpctrain.config.binds import stage_folder
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.launchers import Launcher
from hpctrain.launchers.torchrun import agent_resources, agent_words
from hpctrain.render.image import RUN as _RUN
from hpctrain.render.image import image_start
from hpctrain.render.inputs import Inputs
from hpctrain.render.shell import pack
from hpctrain.shell_words import ShellText, ShellVariable

SLOT_OPTIONS = {"openmpi": "--hostfile", "pals": "--hostfile", "hydra": "-f"}
"""Options that keep a launcher to the hosts in a file, of those that need one to be told."""

_OURS = [
    *(f"HPCTRAIN_{name}" for name in ("LAUNCH_ID", "JOB_ID", "DEADLINE", "TERMINAL")),
    *("HPCTRAIN_NODES", "HPCTRAIN_RANKS_PER_NODE"),
    *("OMP_NUM_THREADS", "PYTHONPATH", "PATH", "LD_LIBRARY_PATH"),
]


def command_lines(
    job: Job, site: Site, inputs: Inputs, launcher: Launcher, module: list[str]
) -> list[str]:
    """The command that starts a program's ranks, as launcher and engine want it.

    Args:
        job: with absolute paths.
        site: the site.
        inputs: of the run directory.
        launcher: what starts them.
        module: Python module, and its words before the run directory.
    """
    env = rank_variables(job, site)
    image, names = image_words(job, site, env)
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


def unstage_lines(job: Job, site: Site, inputs: Inputs, launcher: Launcher) -> list[str]:
    """The command that takes copies away from the nodes; started like the ranks."""
    folder = stage_folder(job, site.scratch)
    if folder is None:
        return []
    return command_lines(job, site, inputs, launcher, ["hpctrain.staging", folder])


def copy_lines(job: Job, site: Site, inputs: Inputs, launcher: Launcher, verb: str) -> list[str]:
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
    return [*pack(launcher.command(ask, rank_variables(job, site))), *rank, *words]


def image_words(job: Job, site: Site, env: list[str]) -> tuple[list[str], list[str]]:
    """Lines in front of the program, and variables that must reach every rank for them."""
    if job.container is None:
        return [], []
    start = image_start(job, site, env)
    return pack(start.words), start.names


def rank_variables(job: Job, site: Site) -> list[str]:
    """Variables that every rank must get."""
    scratch = ["HPCTRAIN_SCRATCH"] if site.scratch else []
    horovod = ["HOROVOD_FUSION_THRESHOLD"] if is_horovod_likely(job) else []
    return [*_OURS, *scratch, *horovod, *sorted({*job.launch.env, *site.env})]


def is_horovod_likely(job: Job) -> bool:
    """Whether Horovod may send gradients in buckets; Adasum sends each tensor by itself."""
    is_asked = job.launch.comm in ("auto", "horovod") and job.launch.launcher != "torchrun"
    return is_asked and job.total_ranks > 1 and job.train.reduction.op == "mean"


def _slot_hosts(launcher: Launcher) -> list[str]:
    """Keeps a run to its share of a job's nodes; started by itself it has all of its own job's."""
    option = SLOT_OPTIONS.get(launcher.spec.kind)
    if option is None or launcher.spec.hostfile_variable:
        return []  # a variable does it
    return [f'${{HPCTRAIN_HOSTFILE:+{option} "$HPCTRAIN_HOSTFILE"}}']
