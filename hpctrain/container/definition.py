"""The text of an Apptainer definition for a recipe; a pure function."""

from __future__ import annotations

import re
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from hpctrain.config.paths import shared_dirs
from hpctrain.container.recipe import Recipe
from hpctrain.container.versions import PREFIX, horovod_script, versions
from hpctrain.errors import RenderError

TEMPLATE = "hpctrain.def.j2"


def definition(
    recipe: Recipe,
    *,
    version: str,
    revision: str | None = None,
    title: str = "An image for runs of hpctrain.",
    engine: str = "apptainer",
    script: str | None = None,
) -> str:
    """A definition that needs no other file.

    Args:
        recipe: what goes in.
        version: of hpctrain.
        revision: of its checkout.
        title: first line of the comment.
        engine: apptainer or singularity, for the comment.
        script: text that builds Horovod; None: the shipped one.

    Raises:
        RenderError: the template or the table of versions is missing or wrong.
    """
    script = horovod_script() if script is None else script
    values = _context(recipe, versions(), script)
    values |= {"version": version, "revision": revision, "title": _plain(title), "engine": engine}
    try:
        folders = tuple(shared_dirs("containers"))
        text = _environment(folders).get_template(TEMPLATE).render(values)
    except TemplateError as e:
        raise RenderError(f"template {TEMPLATE}: {e}") from e
    return text


def _context(recipe: Recipe, table: dict[str, Any], script: str) -> dict[str, Any]:
    release, device = table["mpi"][recipe.family], table["device"][recipe.device]
    is_packaged, source = recipe.mpi_version is None, recipe.source
    return {
        "prefix": PREFIX,
        "base": recipe.base,
        "mirror": recipe.base.mirror,
        "device": recipe.device,
        "comm": recipe.comm,
        "mpi": {
            "family": recipe.family,
            "version": recipe.mpi_version,
            "url": None if is_packaged or source else release["releases"][recipe.mpi_version],
            "source": source.path if source else None,
            "configure": release["configure"],
            "pmi": release["pmi"],
            "packages": " ".join(release["packages"]) if is_packaged else "",
        },
        "pins": {name: pin for name, pin in table["python"].items()},
        "build_pins": " ".join(f"{name}=={pin}" for name, pin in sorted(table["build"].items())),
        "pip_index": _index(recipe.pip_index),
        "torch_index": _index(recipe.torch_index),
        "horovod_env": {"HOROVOD_GPU_OPERATIONS": "", **device["horovod"]},
        "horovod_script": script.rstrip("\n"),
        "exports": [(name, shlex.quote(value)) for name, value in recipe.exports],
        "notes": [_plain(line) for line in recipe.notes],
    }


def _index(url: str | None) -> str:
    return f" --index-url {url}" if url else ""


def _plain(text: str) -> str:
    """One line of a comment; Apptainer would fill in `{{ }}` there, too."""
    return re.sub(r"\{(?=\{)", "{ ", " ".join(text.split()))


@lru_cache(maxsize=4)
def _environment(folders: tuple[Path, ...]) -> Environment:
    # Apptainer's own templates are {{ }}, so ours look different.
    return Environment(
        loader=ChoiceLoader([FileSystemLoader(d) for d in folders]),
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a definition file, not HTML
    )
