"""Go through all topics, in the order of the page."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.doctor.binding import bind_gpus
from hpctrain.doctor.clock import clock_topic
from hpctrain.doctor.environment import environment_topic
from hpctrain.doctor.gpus import Gpus, ask_driver, gpus_topic
from hpctrain.doctor.launch import Folder, Ranks, folder
from hpctrain.doctor.limits import limits_topic
from hpctrain.doctor.look import BlindError, look_inside, look_outside
from hpctrain.doctor.machine import machine_topic
from hpctrain.doctor.mpi import mpi_topic
from hpctrain.doctor.place import Allocation
from hpctrain.doctor.plan import Plan, make_plan
from hpctrain.doctor.pmi import pmi_topic
from hpctrain.doctor.ranks import hosts_of, launch_topic
from hpctrain.doctor.secret import Masker
from hpctrain.doctor.speed import allreduce_topic
from hpctrain.doctor.storage import existing, run_folders, storage_topic
from hpctrain.doctor.topic import Topic
from hpctrain.doctor.versions import versions_topic
from hpctrain.errors import RenderError
from hpctrain.launchers import Launcher, choose_launcher
from hpctrain.provenance.limits import limit_facts

Say = Callable[[str], None]


@dataclass(frozen=True)
class Patient:
    """What is looked at.

    Attributes:
        job: the user's job; None: one of the doctor's own.
        site: the site.
        allocation: the job that the doctor runs in.
        python: interpreter of the ranks, where the job names none.
        runs: folder of the run directories.
        limit_s: how long the ranks may take.
    """

    job: Job | None
    site: Site
    allocation: Allocation | None
    python: str
    runs: Path
    limit_s: float


def examine(patient: Patient, say: Say) -> list[Topic]:
    """All topics.

    Args:
        patient: what is looked at.
        say: takes what is done at the moment.
    """
    say("looking at this machine")
    gpus = ask_driver()
    plan = make_plan(patient.job, patient.site, patient.allocation, len(gpus.rows))
    patient = replace(patient, site=plan.on(patient.site))
    masker = Masker(os.environ)
    found = [machine_topic(patient.site, patient.allocation, plan)]
    environment = environment_topic(os.environ, masker, is_in_job=patient.allocation is not None)
    ranks: Ranks | None = None
    try:
        with folder(
            _place(patient.runs, plan), plan.job, patient.site, patient.python, patient.limit_s
        ) as own:
            topics, ranks = _started(own, patient, plan, gpus, say)
            found += topics
    except RenderError as e:
        topic = Topic("launch")
        remedy = "call doctor in a folder of yours that all nodes see, or name one with --out"
        topic.error("folder", str(e), remedy)
        found.append(topic)
    notes = ranks.notes if ranks else []
    say("measuring folders")
    found.append(storage_topic(run_folders(patient.runs)))
    clocks = [note["clocks"] for note in notes if "clocks" in note]
    hosts = hosts_of(notes) or {os.uname().nodename.split(".")[0]: limit_facts()}
    return [*found, clock_topic(clocks[0] if clocks else []), limits_topic(hosts), environment]


def _place(runs: Path, plan: Plan) -> Path:
    """Where the doctor's scripts are; what is wrong with the run folder, `storage` says."""
    place = existing(runs)
    is_shared = plan.job.resources.nodes > 1  # then only a folder that all nodes see will do
    return place if is_shared or os.access(place, os.W_OK) else Path(tempfile.gettempdir())


def _started(
    own: Folder, patient: Patient, plan: Plan, gpus: Gpus, say: Say
) -> tuple[list[Topic], Ranks | None]:
    """Topics that need the job's Python or its ranks."""
    launcher = choose_launcher(plan.job, patient.site)
    found: list[Topic] = []
    torch: dict[str, Any] = {}
    say("asking the job's Python")
    env = {**os.environ, **patient.site.env, **plan.job.launch.env}
    for topic in _looks(own, plan, launcher, env):
        found.append(topic)
        torch = (topic.facts.get("torch") or {}) if topic.name == "versions" else torch
    devices = gpus_topic(gpus, patient.site, plan.job.resources, torch)
    missing = next((t.facts["missing"] for t in found if "missing" in t.facts), ("", ""))
    refusal, remedy = (plan.refusal, plan.remedy) if plan.refusal else missing
    if refusal:
        skipped = Topic("launch", facts={"skipped": refusal})
        skipped.note("ranks", f"skipped: {refusal}", remedy)
        return [*found, devices, skipped], None
    program = os.path.basename(launcher.spec.command or launcher.program) or "the script"
    if plan.job.launch.launcher == "torchrun":
        program = "torchrun"
    say(f"starting {plan.shape} by {program}, for {own.limit_s:.0f} s at most")
    ranks = own.launch()
    bind_gpus(devices, ranks.notes, patient.site, plan.job.resources)
    launched = launch_topic(ranks, plan, program)
    speed = allreduce_topic(ranks.notes)
    return [*found, devices, launched, *([speed] if speed.lines else [])], ranks


def _looks(own: Folder, plan: Plan, launcher: Launcher, env: Mapping[str, str]) -> Iterator[Topic]:
    """Versions, MPI and PMI."""
    comm = plan.job.launch.comm
    try:
        inside = look_inside(own)
    except BlindError as e:
        topic = Topic("versions")
        topic.error(
            "python", f"the job's Python {e}", "see launch.python, container.image, modules"
        )
        yield topic
        return
    yield versions_topic(inside, comm)
    try:
        outside = look_outside(own)
    except BlindError as e:
        topic = Topic("mpi")
        topic.error("launcher", f"{sys.executable} {e}", "see the modules of the site")
        yield topic
        return
    topic = mpi_topic(outside, inside, launcher, comm)
    yield topic
    yield pmi_topic(launcher, topic.facts, env, comm)
