"""A commented template to start from, and the list of those there are."""

from __future__ import annotations

import re
from pathlib import Path

from hpctrain.config.paths import shared_dirs, user_dir
from hpctrain.errors import ConfigError, RenderError
from hpctrain.render.variables import BLOCKS

SCHEDULERS = {"pbs": "#PBS", "slurm": "#SBATCH", "cobalt": "#COBALT", "local": ""}
"""Scheduler to what its directives begin with."""
_EXAMPLE = {"pbs": "-m abe", "slurm": "--mail-type=END", "cobalt": "--notify me@example.org"}
_SUFFIXES = {
    **{".pbs": "pbs", ".slurm": "slurm", ".sbatch": "slurm"},
    **{".cobalt": "cobalt", ".sh": "local"},
}


def base_of(name: str) -> str:
    """The scheduler that a template's name tells.

    Raises:
        ConfigError: its suffix says nothing.
    """
    scheduler = _SUFFIXES.get(Path(name.removesuffix(".j2")).suffix)
    if scheduler is None:
        raise ConfigError(
            f"template new: {name!r} does not tell its scheduler; add --from "
            f"{', --from '.join(SCHEDULERS)}, or end the name in {', '.join(_SUFFIXES)}"
        )
    return scheduler


def write_template(name: str, scheduler: str) -> Path:
    """Write a child of a scheduler's template into the user's folder.

    Raises:
        ConfigError: the name is a path, or taken.
        RenderError: the folder cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*", name):
        raise ConfigError(
            f"template new: found {name!r}; allowed: a file name of letters, digits, '_', '-', "
            "'.', '+' and '@', such as my.pbs"
        )
    folder = user_dir("templates")
    if folder is None:
        raise ConfigError("XDG_CONFIG_HOME: is no absolute path; correct it, or unset it")
    path, is_begun = folder / name, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            is_begun = True
            file.write(child_text(name, scheduler))
    except FileExistsError as e:
        raise ConfigError(f"{path}: exists; choose another name, or edit that file") from e
    except OSError as e:
        if is_begun:  # a full disk: an empty template would be in the way of the next try
            path.unlink(missing_ok=True)
        raise RenderError(f"{path}: cannot be written: {e.strerror}") from e
    return path


def child_text(name: str, scheduler: str) -> str:
    """A template that changes nothing, with everything that may be changed in comments."""
    mark = SCHEDULERS[scheduler]
    directive = f"{mark} {_EXAMPLE[scheduler]}" if mark else ""
    more = f"      {directive}\n" if mark else "      # a comment\n"
    blocks = "\n".join(f"     {block:11} {text}" for block, text in BLOCKS.items())
    return f"""{{% extends "schedulers/{scheduler}.sh.j2" %}}
{{# Run scripts of one's own. A job takes this template with

      launch:
        template: {name}

   Whatever stands in a block below replaces that block of schedulers/base.sh.j2 or
   schedulers/{scheduler}.sh.j2 (`hpctrain template show schedulers/{scheduler}.sh.j2` prints it);
   {{{{ super() }}}} puts in what it replaces. The blocks:

{blocks}

   Names that can be used are listed by `hpctrain template vars JOB`; those under macros: of the
   job file are macros.NAME. Quote values for the shell: {{{{ macros.folder | shquote }}}}.

   Another directive, behind the others; the - keeps an empty line from coming between them:

      {{% block directives %}}
      {{{{ super() -}}}}
{more}      {{% endblock %}}
#}}
{{% block prepare %}}
{{{{ super() -}}}}
# Lines of your own, before the ranks are started.
{{% endblock %}}
"""


def templates() -> list[tuple[str, Path, bool]]:
    """Name, file, and whether an earlier one of that name hides it, of all run-script templates."""
    found: list[tuple[str, Path, bool]] = []
    names: set[str] = set()
    for folder in shared_dirs("templates"):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            if not name.startswith("sites/"):
                found.append((name, path, name in names))
        names |= {name for name, _, _ in found}
    return found
