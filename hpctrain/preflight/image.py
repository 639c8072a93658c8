"""The container image: there, and made for this machine's MPI and GPUs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Container, Job
from hpctrain.config.site import Site
from hpctrain.launchers import choose_launcher
from hpctrain.preflight.ask import SilentError, ask

_FITTING_PMI = {
    "openmpi": ("pmix",),
    "pals": ("pmi1", "pmi2", "cray"),
    "hydra": ("pmi1", "pmi2"),
    "aprun": ("pmi1", "pmi2", "cray"),
}
"""Launcher to the process-management interfaces by which its ranks find each other."""
_SRUN = {"pmi2": ("pmi1", "pmi2"), "cray_shasta": ("pmi1", "pmi2", "cray")}


def image_findings(job: Job, site: Site, run_dir: Path) -> Iterator[Finding]:
    """Look at the image of a job with absolute paths, and at its labels."""
    container, where = job.container, "container.image"
    if container is None:
        return
    if "://" in container.image:
        text = f"{container.image} would be fetched by every rank; build a file of it first"
        yield warning(where, text)
        return
    if not os.path.exists(container.image):
        words = [container.engine, "build", container.image, "container.def"]
        build = f"cd {shlex.quote(str(run_dir))} && {shlex.join(words)}"
        yield error(where, f"{container.image}: no such file; build it: {build}")
        return
    try:
        labels = read_labels(container)
    except (SilentError, ValueError) as e:
        yield warning(where, f"{container.image}: its labels cannot be read: {e}")
        return
    if labels is None:
        text = f"{container.engine} is not in PATH here, so labels of the image are not compared"
        yield note("container.engine", text)
    elif not any(name.startswith("hpctrain.") for name in labels):
        yield note(where, "has no labels of hpctrain; whether its MPI fits is not known")
    else:
        yield from label_findings(labels, job, site)


def read_labels(container: Container) -> dict[str, str] | None:
    """Labels of an image; None where the engine is not here.

    Raises:
        SilentError: the engine did not answer.
        ValueError: it refused, or answered nonsense.
    """
    answer = ask([container.engine, "inspect", "--labels", "--json", container.image], 60.0)
    if answer is None:
        return None
    if answer.code:
        raise ValueError(f"{container.engine} inspect: {answer.words[-300:]}")
    page = json.loads(answer.out)
    try:
        labels = page["data"]["attributes"]["labels"] or {}
        return {str(name): str(value) for name, value in labels.items()}
    except (LookupError, TypeError, AttributeError) as e:
        raise ValueError(f"{container.engine} inspect answered {answer.out[:80]!r}") from e


def label_findings(labels: Mapping[str, str], job: Job, site: Site) -> Iterator[Finding]:
    """Compare labels with the site's MPI, the launcher's PMI and the GPUs that are asked for."""
    where, family = "container.image", labels.get("hpctrain.mpi", "").partition(":")[0]
    if family and family != site.container.mpi:
        text = f"holds {labels['hpctrain.mpi']}, and site {site.name} has MPI of the family"
        yield error(where, f"{text} {site.container.mpi}; build it again from this container.def")
    launcher = choose_launcher(job, site).spec
    pmi, fitting = labels.get("hpctrain.pmi", ""), _fitting_pmi(launcher.kind, launcher.args)
    if pmi and fitting and pmi not in fitting:
        text = f"its MPI starts by {pmi}, and {launcher.kind} offers {' or '.join(fitting)}"
        yield error(where, f"{text}; every rank would be rank 0 of 1; build it for this site")
    device, asks = labels.get("hpctrain.device", ""), bool(job.resources.gpus_per_rank)
    wanted = "rocm" if site.container.gpu_flag == "--rocm" else "cuda"
    if asks and device and device != wanted:
        text = f"is built for {device}, and the job asks for GPUs of the kind {wanted}"
        yield error(where, f"{text}; build it again from this container.def")
    if job.launch.comm == "horovod" and "hpctrain.horovod" not in labels:
        yield warning(where, "has no label hpctrain.horovod, and launch.comm is horovod")


def _fitting_pmi(kind: str, args: list[str]) -> tuple[str, ...]:
    if kind != "srun":
        return _FITTING_PMI.get(kind, ())
    asked = next((arg.partition("=")[2] for arg in args if arg.startswith("--mpi=")), "")
    return ("pmix",) if asked.startswith("pmix") else _SRUN.get(asked, ())
