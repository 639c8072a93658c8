"""`hpctrain container shell`: look around inside an image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.job import Overrides, SiteName


def command(
    what: Annotated[
        str, typer.Argument(metavar="JOB|IMAGE", help="Job, or image (a path or ./NAME.sif).")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="Run this; default: a shell."),
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
) -> None:
    """Open a shell in an image, with the binds, GPUs and variables that a job's ranks get.

    It starts in the job's run directory, or for an image in this folder. Ends with the exit code of
    the command.
    """
    text = _of_image(what, site, words or []) if _is_image(what) else None
    if text is None:
        text = _of_job(what, overrides or [], site, words or [])
    sys.stdout.flush()
    try:
        # a login shell, as batch jobs have: it knows `module`
        os.execvp("bash", ["bash", "-l", "-c", text])  # noqa: S606 - this is to be the shell
    except OSError as e:
        from hpctrain.errors import ImageError

        raise ImageError(f"bash cannot be started: {e.strerror}") from e


def _is_image(what: str) -> bool:
    path = Path(what)
    return path.suffix in (".sif", ".img", ".sqfs") or (path / "bin").is_dir()


def _of_image(image: str, site_name: str | None, words: list[str]) -> str:
    from hpctrain.cli.job import site_named
    from hpctrain.render.enter import enter_image

    site = site_named(site_name)
    return enter_image(_there(Path(image).absolute()), site, str(Path.cwd()), words)


def _of_job(name: str, overrides: list[str], site_name: str | None, words: list[str]) -> str:
    from hpctrain.cli.job import load
    from hpctrain.render.draft import draft_inputs
    from hpctrain.render.enter import enter_job
    from hpctrain.render.texts import with_absolute_paths

    cwd = Path.cwd()
    resolved = load(name, overrides, site_name)
    job = with_absolute_paths(resolved.job, cwd)
    run = Path("jobs") / job.name
    inputs = draft_inputs(
        job, run if run.is_dir() else Path(), cwd, os.path.abspath(sys.executable)
    )
    if job.container and "://" not in job.container.image:
        _there(Path(job.container.image))
    return enter_job(job, resolved.site, inputs, words)


def _there(image: Path) -> str:
    from hpctrain.errors import ImageError

    if not image.exists():
        raise ImageError(f"{image}: no such image; build it: hpctrain container build -o {image}")
    return str(image)
