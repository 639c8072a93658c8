"""A program inside an image by hand, as a job's ranks would find themselves there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpctrain.config.job import Container, Job
from hpctrain.config.site import Site
from hpctrain.engines import box_of_site, engine_of_site
from hpctrain.errors import RenderError
from hpctrain.render.image import RUN, exports, image_start, library_path
from hpctrain.render.inputs import Inputs
from hpctrain.render.script import context
from hpctrain.render.shell import fill, pack

_TEMPLATE = "schedulers/enter.sh.j2"
SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; fi; exec sh")
"""Not every image has bash."""


def enter_job(job: Job, site: Site, inputs: Inputs, command: Sequence[str]) -> str:
    """A script that starts a command in a job's image: binds, GPUs, variables as for its ranks.

    Raises:
        RenderError: the job runs in no image.
    """
    if job.container is None:
        raise RenderError(
            f"job {job.name} runs in no image; name one in `container: {{image: ...}}`, or give "
            "the image itself"
        )
    # by hand there is one process on one node, and what is copied nobody would remove
    container = job.container.model_copy(update={"copy_to_node": False})
    job = job.model_copy(update={"container": container})
    own = site.container.model_copy(update={"one_namespace": False, "copy_to_node": False})
    site = site.model_copy(update={"container": own})
    start = image_start(job, site, sorted({*job.launch.env, *site.env}))
    lines = pack([*start.words, *(command or SHELL)])
    return fill(_TEMPLATE, {**context(job, site, inputs), "enter_lines": lines})


def enter_image(image: str, site: Site, folder: str, command: Sequence[str]) -> str:
    """A script that starts a command in an image on this machine, in a folder that is bound."""
    engine = engine_of_site(site)
    box = box_of_site(Container(image=image), site, [*site.container.binds, RUN])
    words = engine.command(replace(box, workdir=RUN))
    facts: dict[str, Any] = {"exports": exports(engine, site)}
    facts |= {"needs_user": engine.program == "ch-run", "apart": ""}
    facts |= {"program": engine.program, "library_path": library_path(site)}
    values = {"job": None, "site": site, "run_dir": folder, "image": facts}
    return fill(_TEMPLATE, {**values, "enter_lines": pack([*words, *(command or SHELL)])})
