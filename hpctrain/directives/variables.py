"""Variables of the batch shell: what is the same elsewhere, and what can be worked out."""

from __future__ import annotations

from hpctrain.directives.model import Request

EQUAL: tuple[dict[str, str], ...] = (
    {"pbs": "PBS_JOBID", "slurm": "SLURM_JOB_ID", "cobalt": "COBALT_JOBID"},
    {"pbs": "PBS_JOBNAME", "slurm": "SLURM_JOB_NAME"},
    {"pbs": "PBS_QUEUE", "slurm": "SLURM_JOB_PARTITION", "cobalt": "COBALT_QUEUE"},
    {"pbs": "PBS_NODEFILE", "cobalt": "COBALT_NODEFILE"},
    {"pbs": "PBS_O_WORKDIR", "slurm": "SLURM_SUBMIT_DIR"},
    {"pbs": "PBS_O_HOST", "slurm": "SLURM_SUBMIT_HOST"},
    {"pbs": "PBS_ACCOUNT", "slurm": "SLURM_JOB_ACCOUNT", "cobalt": "COBALT_PROJECT"},
    {"pbs": "PBS_ARRAY_INDEX", "slurm": "SLURM_ARRAY_TASK_ID"},
    {"pbs": "PBS_ARRAY_ID", "slurm": "SLURM_ARRAY_JOB_ID"},
    {"slurm": "SLURM_JOB_NUM_NODES", "cobalt": "COBALT_PARTSIZE"},
    {"slurm": "SLURM_NTASKS", "cobalt": "COBALT_JOBSIZE"},
    {"slurm": "SLURM_JOB_START_TIME", "cobalt": "COBALT_STARTTIME"},
    {"slurm": "SLURM_JOB_END_TIME", "cobalt": "COBALT_ENDTIME"},
    {"slurm": "SLURM_JOB_NODELIST", "cobalt": "COBALT_PARTNAME"},
)
"""Each row means the same to each scheduler in it."""

OTHER_NAMES = {
    "SLURM_JOBID": "SLURM_JOB_ID",
    "SLURM_NNODES": "SLURM_JOB_NUM_NODES",
    "SLURM_NPROCS": "SLURM_NTASKS",
    "SLURM_NODELIST": "SLURM_JOB_NODELIST",
}
"""Older names of Slurm's own variables."""

_NODELISTS = {"SLURM_JOB_NODELIST", "COBALT_PARTNAME"}
"""Written in each scheduler's own short form, so they are no equals in practice."""


def equal(name: str, target: str) -> str | None:
    """The target's variable that holds the same."""
    name = OTHER_NAMES.get(name, name)
    if name in _NODELISTS:
        return None
    return next((row[target] for row in EQUAL if name in row.values() and target in row), None)


def worked_out(name: str, target: str, request: Request) -> str | None:
    """Shell lines that give a variable of another scheduler its value; None: nobody can."""
    meaning = OTHER_NAMES.get(name, name)
    if target == "slurm":
        value = _in_slurm(meaning, request)
    else:
        nodefile = "PBS_NODEFILE" if target == "pbs" else "COBALT_NODEFILE"
        value = _from_nodefile(meaning, nodefile, request)
    if value is None:
        value = _known(meaning, request)
    return None if value is None else f"{name}={value}"


def _known(name: str, request: Request) -> str | None:
    ranks, cpus = request.ranks_per_node, request.cpus_per_node
    values = {
        "SLURM_NTASKS_PER_NODE": ranks,
        "SLURM_CPUS_PER_TASK": None if cpus is None else cpus // (ranks or 1),
        "SLURM_GPUS_ON_NODE": request.gpus_per_node,
        "SLURM_GPUS_PER_NODE": request.gpus_per_node,
    }
    value = values.get(name)
    return None if value is None else str(value)


def _in_slurm(name: str, request: Request) -> str | None:
    if name not in ("PBS_NODEFILE", "COBALT_NODEFILE"):
        return None
    times = (request.ranks_per_node or 1) if name == "PBS_NODEFILE" else 1
    hosts = 'scontrol show hostnames "$SLURM_JOB_NODELIST"'
    if times > 1:
        repeat = f"for (i = 0; i < {times}; i++) print"
        hosts += f" | awk '{{ {repeat} }}'"
    return f'$(mktemp)\n{hosts} >"${name}"'


def _from_nodefile(name: str, nodefile: str, request: Request) -> str | None:
    ranks = (request.nodes or 1) * (request.ranks_per_node or 1)
    walltime = request.walltime_s
    found = {
        "PBS_O_WORKDIR": "$PWD",
        "SLURM_SUBMIT_DIR": "$PWD",
        "PBS_JOBNAME": request.name,
        "SLURM_JOB_NAME": request.name,
        "SLURM_JOB_NUM_NODES": f'$(sort -u "${nodefile}" | wc -l)',
        "COBALT_PARTSIZE": f'$(sort -u "${nodefile}" | wc -l)',
        "SLURM_NTASKS": str(ranks),
        "COBALT_JOBSIZE": str(ranks),
        "SLURM_JOB_NODELIST": f'$(sort -u "${nodefile}" | paste -sd, -)',
        "COBALT_STARTTIME": "$(date +%s)",
        "SLURM_JOB_START_TIME": "$(date +%s)",
        "COBALT_ENDTIME": f"$(($(date +%s) + {walltime}))" if walltime else None,
        "SLURM_JOB_END_TIME": f"$(($(date +%s) + {walltime}))" if walltime else None,
    }
    return found.get(name)
