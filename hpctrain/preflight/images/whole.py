"""Everything about one image at once, for `hpctrain container check`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpctrain.config.binds import bind_texts, stage_folder
from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Container, Job
from hpctrain.config.site import Site
from hpctrain.engines import Box, Engine, box_of_site, choose_engine, engine_of_site, make_box
from hpctrain.preflight.ask import SilentError
from hpctrain.preflight.binds import bind_findings
from hpctrain.preflight.here import is_of
from hpctrain.preflight.images.check import Wanted, fit_findings, wanted_by
from hpctrain.preflight.images.facts import ImageFacts
from hpctrain.preflight.images.host import HostFacts, host_facts
from hpctrain.preflight.images.look import Look, read_image, with_remedy
from hpctrain.preflight.images.namespace import namespace_findings, site_namespace_findings
from hpctrain.preflight.images.place import place_findings
from hpctrain.preflight.images.shown import shown_findings
from hpctrain.preflight.images.targets import target_findings
from hpctrain.preflight.images.users import user_findings
from hpctrain.render.texts import with_absolute_paths

_ORDER = ("error", "warning", "note")


@dataclass
class ImageReport:
    """What was seen, and what is to be said of it."""

    image: str
    site: str
    engine: str
    facts: ImageFacts | None = None
    in_image: dict[str, Any] = field(default_factory=dict)
    on_host: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def report_of_job(job: Job, site: Site, cwd: Path) -> ImageReport:
    """An image as the ranks of a job would start in it."""
    job = with_absolute_paths(job, cwd)
    engine = choose_engine(job, site)
    run_dir = cwd / "jobs" / job.name
    binds = bind_texts(job, site.container.binds, stage_folder(job, site.scratch))
    box = make_box(job, site, _there(binds), "/", [])
    report = _report(engine, box, site, wanted_by(job, site), job.launch.python or "python3")
    report.findings += bind_findings(job, site, run_dir)
    report.findings += target_findings(engine, box.image, [*binds, str(run_dir)])
    report.findings += namespace_findings(job, site, engine, "image", report.facts)
    report.findings += user_findings(job, site, engine, "image")
    report.findings += shown_findings(job, site, engine, "image")
    return _sorted(report)


def report_of_site(image: str, site: Site, cwd: Path) -> ImageReport:
    """An image as any job of the site would start in it."""
    engine = engine_of_site(site)
    path = image if "://" in image else str(cwd / os.path.expanduser(image))
    box = box_of_site(Container(image=path), site, _there(site.container.binds))
    report = _report(engine, box, site, wanted_by(None, site), "python3")
    for bind in site.container.binds:
        source = bind.partition(":")[0]
        if not os.path.exists(source):
            text = f"{source} does not exist here; compute nodes must have it"
            report.findings.append(note(f"site {site.name}: container.binds", text))
    report.findings += target_findings(engine, path, site.container.binds)
    report.findings += site_namespace_findings(site, engine, "image")
    return _sorted(report)


def _report(engine: Engine, box: Box, site: Site, wanted: Wanted, python: str) -> ImageReport:
    report = ImageReport(box.image, site.name, engine.program)
    host = host_facts(wanted.launcher) if is_of(site) else None
    report.on_host = host.page() if host else {}
    if host is None:
        text = f"is none of those of {site.name}, so MPI, PMI and drivers are not compared with it"
        report.findings.append(note("this host", text))
    if engine.takes_files and not os.path.exists(box.image):
        text = f"{box.image}: no such file; build it, or give its path"
        report.findings.append(error("image", text))
        return report
    if engine.takes_files:
        report.findings += place_findings(box.image, engine, site, "image", is_here=is_of(site))
    report.findings += _looked(engine, box, site, wanted, host, python, report)
    return report


def _looked(
    engine: Engine,
    box: Box,
    site: Site,
    wanted: Wanted,
    host: HostFacts | None,
    python: str,
    report: ImageReport,
) -> list[Finding]:
    try:
        look = read_image(engine, box, python, wanted.comm, is_entered=True)
    except SilentError as e:
        return [warning("image", f"cannot be read: {e}")]
    if look is None:
        return [error("engine", f"{engine.program} is not in PATH; load its module")]
    report.facts = look.facts
    report.in_image = look.facts.page() if look.facts else {}
    return [*_unread(look, host), *_fit(look, host, wanted, site)]


def _unread(look: Look, host: HostFacts | None) -> list[Finding]:
    if not look.reason:
        return []
    say = warning if look.facts or host is None else error  # another machine may lack what it needs
    return [say("image", f"its inside cannot be read: {with_remedy(look.reason)}")]


def _fit(look: Look, host: HostFacts | None, wanted: Wanted, site: Site) -> list[Finding]:
    if look.facts is None:
        return []
    return list(fit_findings(look.facts, host, wanted, site, "image"))


def _there(binds: list[str]) -> list[str]:
    """Binds whose sources this host has; the others are told of elsewhere."""
    return [bind for bind in binds if os.path.exists(bind.partition(":")[0])]


def _sorted(report: ImageReport) -> ImageReport:
    found = dict.fromkeys(report.findings)
    report.findings = sorted(found, key=lambda finding: _ORDER.index(finding.severity))
    return report
