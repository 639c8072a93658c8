"""container.def: an Apptainer definition with the MPI family that the site's launcher needs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from hpctrain.config.job import Job
from hpctrain.config.paths import find_shared, shared_dirs
from hpctrain.config.site import Site
from hpctrain.errors import RenderError
from hpctrain.render.inputs import Inputs

BUILD_SCRIPT = "build_horovod.sh"
PREFIX = "/usr/local/hpctrain"
"""Where everything is installed in the image; machines bind their own /opt over the image's."""


def has_definition(job: Job, site: Site) -> bool:
    """Whether there are tested versions for the job's devices; else images come from elsewhere."""
    return _device(job, site) in versions()["device"]


def _device(job: Job, site: Site) -> str:
    if not job.resources.gpus_per_rank:
        return "cpu"
    return "cuda" if site.container.gpu_flag == "--nv" else "rocm"


def definition(job: Job, site: Site, inputs: Inputs) -> str:
    """Text of container.def.

    Raises:
        RenderError: the template or the table of versions is missing or wrong.
    """
    device, table = _device(job, site), versions()
    if device not in table["device"]:
        raise RenderError(
            f"container: no tested versions for {device}; choose from {', '.join(table['device'])}"
        )
    context = {
        "job": job,
        "site": site,
        "version": inputs.version,
        "device": device,
        "prefix": PREFIX,
        "mpi": site.container.mpi,
        "base": table["device"][device],
        "mpi_release": table["mpi"][site.container.mpi],
        "pins": table["python"],
        "files": sorted(inputs.container_files),
    }
    try:
        folders = tuple(shared_dirs("containers"))
        return _environment(folders).get_template("hpctrain.def.j2").render(context)
    except TemplateError as e:
        raise RenderError(f"template hpctrain.def.j2: {e}") from e


def versions() -> dict[str, Any]:
    """containers/versions.yaml: what is pinned in every definition."""
    path = find_shared("containers", "versions.yaml")
    if path is None:
        raise RenderError("containers/versions.yaml: no such file; reinstall hpctrain")
    return _parsed(path.read_text())


@lru_cache(maxsize=4)
def _parsed(text: str) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(text)
    return table


def build_files() -> dict[str, bytes]:
    """Files that the definition copies into the image, by path in the run directory."""
    path = find_shared("containers", BUILD_SCRIPT)
    return {f"code/{BUILD_SCRIPT}": Path(path).read_bytes()} if path else {}


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
