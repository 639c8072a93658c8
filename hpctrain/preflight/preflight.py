"""Everything that can be known on the login node, all findings at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from hpctrain.config.check import findings
from hpctrain.config.finding import Finding, error, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.errors import HpctrainError
from hpctrain.preflight.binds import bind_findings
from hpctrain.preflight.here import here_findings, is_of
from hpctrain.preflight.image import image_findings
from hpctrain.preflight.mounts import mount_findings
from hpctrain.preflight.own_code import own_code_findings
from hpctrain.preflight.paths import path_findings
from hpctrain.preflight.pbs import pbs_findings
from hpctrain.preflight.python import python_findings
from hpctrain.preflight.script import edited_findings, kept_script, script_findings
from hpctrain.preflight.slurm import slurm_findings
from hpctrain.preflight.staging import staging_findings
from hpctrain.render.draft import draft_inputs
from hpctrain.render.existing import manifest
from hpctrain.render.script import SCRIPTS, run_script
from hpctrain.render.texts import with_absolute_paths

_ORDER = ("error", "warning", "note")


def preflight(
    job: Job,
    site: Site,
    run_dir: Path | None = None,
    *,
    cwd: Path | None = None,
    is_rendered: bool = True,
    is_offline: bool = False,
    macros_place: str = "",
) -> list[Finding]:
    """Check a job before it is queued.

    Args:
        job: the job, from its file or from a run directory's config.yaml.
        site: the site as jobs of the job's queue see it.
        run_dir: its run directory; None: jobs/NAME.
        cwd: folder that relative paths of the job start from.
        is_rendered: look at the script that lies in the run directory, if there is one; else at
            the one that would be rendered now.
        is_offline: ask no scheduler.
        macros_place: see `hpctrain.render.draft.macros_place`.

    Returns:
        Errors first, then warnings, then notes.
    """
    here = cwd or Path.cwd()
    target = here / (run_dir or Path("jobs") / job.name)
    # as the compute nodes see it: real path of the folder that holds it
    target = target.parent.resolve() / target.name
    is_kept = is_rendered and (target / "manifest.json").exists()
    python = (is_kept and _recorded_python(target)) or os.path.abspath(sys.executable)
    found = [
        *findings(job, site),
        *own_code_findings(job, here),
        *_host(with_absolute_paths(job, here), site, target, python),
    ]
    if is_kept:
        found += edited_findings(target)
    script = (is_kept and kept_script(target, SCRIPTS[site.scheduler])) or _fresh_script(
        job, site, target, here, macros_place
    )
    has_folder = os.path.isdir if is_kept else None  # a folder that render makes need not be there
    if isinstance(script, Finding):
        found.append(script)
    else:
        text, is_executable = script
        found += script_findings(text, SCRIPTS[site.scheduler], site, is_executable, has_folder)
        found += [] if is_offline else scheduler_findings(job, site, text)
    return sorted(dict.fromkeys(found), key=lambda finding: _ORDER.index(finding.severity))


def _recorded_python(run_dir: Path) -> str:
    """The interpreter that a run directory was rendered for; nothing where that is not said."""
    inputs = manifest(run_dir).get("inputs")
    return str(inputs.get("python") or "") if isinstance(inputs, dict) else ""


def _host(job: Job, site: Site, target: Path, python: str) -> Iterator[Finding]:
    yield from path_findings(job, target)
    yield from bind_findings(job, site, target)
    yield from staging_findings(job, site)
    yield from _after(job, target)
    yield from mount_findings(job, site, target)
    yield from python_findings(job, job.launch.python or python)
    yield from here_findings(job, site, job.launch.python or python)
    yield from image_findings(job, site, target)


def _after(job: Job, target: Path) -> Iterator[Finding]:
    is_point = target.parent.name == "points"  # the neighbours are those of its sweep
    folder = target.parent.parent.parent if is_point else target.parent
    for name in job.after:
        is_there = any((folder / name / file).exists() for file in ("manifest.json", "sweep.json"))
        if name != job.name and not is_there:
            text = f"no run directory {folder / name} yet; submit that run first"
            yield warning(f"after.{name}", text)


def _fresh_script(
    job: Job, site: Site, target: Path, cwd: Path, macros_place: str
) -> tuple[str, bool] | Finding:
    """Text of the run script and whether it is executable, or why there is none."""
    inputs = draft_inputs(job, target, cwd, os.path.abspath(sys.executable), macros_place)
    try:
        return run_script(with_absolute_paths(job, cwd), site, inputs), True
    except HpctrainError as e:
        return error(SCRIPTS[site.scheduler], str(e))


def scheduler_findings(job: Job, site: Site, script: str) -> Iterator[Finding]:
    """What the scheduler itself says of a job and its script.

    Args:
        job: the job.
        site: the site as the job's queue sees it.
        script: text of the script that would be handed in.
    """
    found: Iterator[Finding] = iter(())
    if site.scheduler == "slurm":
        found = slurm_findings(job, site, script)
    elif site.scheduler == "pbs":
        found = pbs_findings(job)
    yield from found if is_of(site) else map(_from_elsewhere(site), found)


def _from_elsewhere(site: Site) -> Callable[[Finding], Finding]:
    """Turns what the scheduler of another machine refuses into a warning."""
    text = f"but this host is none of those of {site.name}; check again on one of its login nodes"

    def change(found: Finding) -> Finding:
        is_error = found.severity == "error"
        return warning(found.where, f"{found.text}; {text}") if is_error else found

    return change
