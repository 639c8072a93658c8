"""Which template makes the run script: the scheduler's own, or the one that the job names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from jinja2 import TemplateError, meta

from hpctrain.config.paths import find_shared, shared_dirs
from hpctrain.errors import RenderError
from hpctrain.render.shell import environment

_OF_SCHEDULER = re.compile(r"schedulers/(pbs|slurm|cobalt|local)\.sh\.j2")


def script_template(name: str | None, scheduler: str, cwd: Path) -> str:
    """Name of the run script's template, as the Jinja environment knows it.

    Args:
        name: `launch.template` of the job: looked up in the user's folder and the shipped ones,
            then as a path; None: the scheduler's own.
        scheduler: of the site.
        cwd: folder that a relative path starts from.

    Raises:
        RenderError: there is none of that name, or it is for another scheduler.
    """
    if name is None:
        return f"schedulers/{scheduler}.sh.j2"
    found = _lookup(name, cwd)
    other = _scheduler_of(found)
    if other not in (None, scheduler):
        raise RenderError(
            f"launch.template: {name} is for {other}, and this site has {scheduler}; choose a "
            "template for it, or leave it out"
        )
    return found


def _lookup(name: str, cwd: Path) -> str:
    if ".." not in Path(name).parts and not os.path.isabs(name) and find_shared("templates", name):
        return name
    path = cwd / os.path.expanduser(name)
    if path.is_file():
        return str(path)
    places = " and ".join([*(str(folder) for folder in shared_dirs("templates")[:1]), str(path)])
    raise RenderError(
        f"launch.template: {name}: no such template; looked in {places}; "
        "`hpctrain template list` names those there are"
    )


def _scheduler_of(template: str) -> str | None:
    """The scheduler whose template this one extends; None: not known."""
    env = environment()
    try:
        if env.loader is None:
            return None
        source, _, _ = env.loader.get_source(env, template)
        parents = meta.find_referenced_templates(env.parse(source))
    except (TemplateError, ValueError, OSError):
        return None  # filling it says what is wrong, with the line
    matches = (_OF_SCHEDULER.fullmatch(parent) for parent in parents if parent)
    return next((match[1] for match in matches if match), None)
