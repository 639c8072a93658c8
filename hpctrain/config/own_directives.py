"""`resources.directives`: what a machine refuses, and what repeats a line of ours."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from hpctrain.config.finding import Finding, error, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site

_LONG = {
    "slurm": {
        **{"-J": "--job-name", "-N": "--nodes", "-c": "--cpus-per-task", "-t": "--time"},
        **{"-o": "--output", "-A": "--account", "-p": "--partition", "-q": "--qos"},
        **{"-G": "--gpus", "-n": "--ntasks", "-C": "--constraint", "-e": "--error"},
    },
    "cobalt": {
        **{"--nodecount": "-n", "--time": "-t", "--queue": "-q", "--project": "-A"},
        **{"--outputprefix": "-O"},
    },
}
"""Two spellings of one option."""

_ALWAYS = {
    "pbs": {
        **{"-N": "name", "-l select": "resources", "-l walltime": "resources.walltime"},
        **{"-l place": "", "-j": "", "-o": ""},
    },
    "slurm": {
        **{"--job-name": "name", "--nodes": "resources.nodes", "--time": "resources.walltime"},
        **{"--ntasks-per-node": "resources.ranks_per_node", "--output": ""},
        **{"--cpus-per-task": "resources.cpus_per_rank", "--open-mode": ""},
        **{"--signal": "launch.warning_s"},
    },
    "cobalt": {
        **{"-n": "resources.nodes", "-t": "resources.walltime", "--jobname": "name", "-O": ""},
    },
    "local": {},
}
"""Options that every script has, and the key of the job file that decides them."""

_ACCOUNT = {"pbs": "-A", "slurm": "--account", "cobalt": "-A"}
_QUEUE = {"pbs": "-q", "slurm": "--partition", "cobalt": "-q"}


def directive_findings(job: Job, site: Site) -> list[Finding]:
    """What is wrong with the directives that the job adds."""
    if site.scheduler == "local":
        return []
    ours = _written(job, site)
    forbidden = {
        key: line for line in site.directives.forbidden for key in option_keys(line, site.scheduler)
    }
    found = []
    for number, line in enumerate(job.resources.directives):
        where = f"resources.directives.{number}"
        for key in option_keys(line, site.scheduler):
            if key in forbidden:
                text = f"found {line!r}; site {site.name} refuses {forbidden[key]}; leave it out"
                found.append(error(where, text))
            elif key in ours:
                found.append(_repeated(where, line, key, ours[key], site.scheduler))
    return found


def _repeated(where: str, line: str, key: str, instead: str, scheduler: str) -> Finding:
    advice = f"set {instead} instead" if instead else "leave it out"
    if scheduler == "pbs":
        text = f"found {line!r}; the script has {key} already, and PBS takes the first; {advice}"
        return error(where, text)
    if key == "--attrs":
        text = f"found {line!r}; the script has --attrs already, and Cobalt takes only one"
        return error(where, f"{text}; {advice}")
    return warning(where, f"found {line!r}, which replaces {key} of the script; {advice}")


def _written(job: Job, site: Site) -> dict[str, str]:
    """Options that the script will have, and the key of the job file that decides each."""
    kind, ask, lines = site.scheduler, job.resources, site.directives
    ours = dict(_ALWAYS[kind])
    if ask.account:
        ours[_ACCOUNT[kind]] = "resources.account"
    optional = (
        (lines.queue or _QUEUE[kind], ask.queue, "resources.queue"),
        (lines.filesystems, ask.filesystems, "resources.filesystems"),
        (lines.priority, ask.priority, "resources.priority"),
        (lines.gpus, ask.gpus_per_rank, "resources.gpus_per_rank"),
        (lines.memory, ask.memory_gb_per_node, "resources.memory_gb_per_node"),
        (lines.keep and "-k", True, ""),
    )
    for option, is_asked, name in optional:
        if option and is_asked:
            ours.update(dict.fromkeys(option_keys(option, kind), name))
    for line in lines.extra:
        ours.update(dict.fromkeys(option_keys(line, kind), ""))
    if kind == "cobalt" and (lines.select or (lines.filesystems and ask.filesystems)):
        ours["--attrs"] = "resources.filesystems"
    return ours


def option_keys(line: str, scheduler: str) -> Iterator[str]:
    """Names of the options in a directive: `--time`, `-N`; of PBS' resources `-l NAME` each."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    for place, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        name = _LONG.get(scheduler, {}).get(name, name)
        if scheduler == "pbs" and name == "-l":
            value = word[2:] or (words[place + 1] if place + 1 < len(words) else "")
            yield from (f"-l {part.partition('=')[0]}" for part in value.split(",") if part)
        else:
            yield name
