"""Inputs that are enough for the run script alone: without reading code or data."""

from __future__ import annotations

from pathlib import Path

from hpctrain import __version__
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.render.inputs import CodeTree, Inputs
from hpctrain.render.texts import with_absolute_paths


def draft_inputs(job: Job, target: Path, cwd: Path, python: str, macros_place: str = "") -> Inputs:
    """Inputs for a run script that is only looked at.

    Args:
        job: the job; its code is not read, only whether it has some matters.
        target: run directory that it would have.
        cwd: folder that relative paths of the job start from.
        python: interpreter that renders.
        macros_place: see `macros_place`.
    """
    absolute = with_absolute_paths(job, cwd)
    folder = cwd / target
    return Inputs(
        # realpath of the parent, as for the real one: nodes may not follow the login node's links
        run_dir=str(folder.parent.resolve() / folder.name),
        cwd=str(cwd),
        python=absolute.launch.python or python,
        version=__version__,
        code=CodeTree({"user/": b""} if job.code else {}),
        index_csv="",
        index_json="",
        macros_place=macros_place,
    )


def macros_place(layers: Layers) -> str:
    """Where the job file says `macros:`, or ends without: `FILE:LINE`."""
    written = layers.source(("macros",))
    if written != "default":
        return written
    documents = [document for document in layers.documents if document.lines]
    if not documents:
        return ""
    last = documents[-1]  # the job file: it lies above the site's defaults, and --set has no lines
    return f"{last.where} (add it after line {max(last.lines.values())})"
