"""Which template makes the run script: the scheduler's own, or the one that the job names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from jinja2 import TemplateError, nodes

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
    _refuse_unknown_blocks(found, name)
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
    names = (_OF_SCHEDULER.fullmatch(name) for name, _ in _ancestry(template))
    return next((match[1] for match in names if match), None)


def _refuse_unknown_blocks(template: str, shown: str) -> None:
    """Jinja drops a block that no parent has, without a word."""
    own, *parents = _ancestry(template) or [("", nodes.Template([]))]
    known = {block.name for _, tree in parents for block in tree.find_all(nodes.Block)}
    for block in own[1].body:
        if not parents or not isinstance(block, nodes.Block) or block.name in known:
            continue
        near = get_close_matches(block.name, known, 1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise RenderError(
            f"template {shown}:{block.lineno}: unknown block {block.name!r}, which would be left "
            f"out; choose from {', '.join(sorted(known))}{hint}"
        )


def _ancestry(template: str) -> list[tuple[str, nodes.Template]]:
    """A template and those it extends, nearest first; empty where one of them is wrong."""
    try:
        return list(_walk(template))
    except (TemplateError, ValueError, OSError):
        return []  # filling it says what is wrong, with the line


def _walk(template: str) -> Iterator[tuple[str, nodes.Template]]:
    env, seen = environment(), set[str]()
    while env.loader is not None and template not in seen:
        seen.add(template)
        source, _, _ = env.loader.get_source(env, template)
        tree = env.parse(source)
        yield template, tree
        extends = tree.find(nodes.Extends)
        if extends is None or not isinstance(extends.template, nodes.Const):
            return
        template = extends.template.value
