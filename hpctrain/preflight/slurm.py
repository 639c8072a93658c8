"""What Slurm itself says of a script, and of srun's ways to start MPI."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.launchers import choose_launcher
from hpctrain.preflight.ask import SilentError, ask

_AWAY = ("unable to contact", "connection refused", "socket timed out", "communication")


def slurm_findings(job: Job, site: Site, script: str) -> Iterator[Finding]:
    """Ask sbatch about the script, and srun about `--mpi=`."""
    try:
        yield from _test_only(script)
    except SilentError as e:
        yield warning("sbatch --test-only", str(e))
    launcher = choose_launcher(job, site).spec
    wanted = [a.partition("=")[2] for a in launcher.args if a.startswith("--mpi=")]
    if launcher.kind == "srun" and wanted:
        try:
            yield from _mpi_list(wanted[-1])
        except SilentError as e:
            yield warning("srun --mpi=list", str(e))


def _test_only(script: str) -> Iterator[Finding]:
    # a file of its own, as the run directory may not exist yet; and nothing is written beside it
    with tempfile.TemporaryDirectory(prefix="hpctrain-check-") as folder:
        path = Path(folder) / "run.slurm"
        path.write_text(script, encoding="utf-8")
        answer = ask(["sbatch", "--test-only", str(path)], cwd=folder)
    where = "sbatch --test-only"
    if answer is None:
        yield note(where, "there is no sbatch here; check again on a login node of this machine")
    elif answer.code == 0:
        yield note(where, f"Slurm says: {answer.words}")
    elif any(word in answer.words.lower() for word in _AWAY):
        yield warning(where, f"Slurm does not answer: {answer.words}")
    else:
        yield error(where, f"Slurm refuses the script: {answer.words}")


def _mpi_list(wanted: str) -> Iterator[Finding]:
    answer = ask(["srun", "--mpi=list"])
    if answer is None or answer.code:
        return  # sbatch's note has said that this is no login node
    # "MPI plugin types are...", one a line; then "specific pmix plugin versions available: pmix_v4"
    offered = set(re.findall(r"[\w.]+", answer.words.replace("...", " ")))
    if wanted not in offered:
        kinds = sorted(offered & {"pmix", "pmi2", "none", "cray_shasta", "openmpi"})
        versions = sorted(word for word in offered if word.startswith("pmix_v"))
        known = ", ".join([*kinds, *versions])
        text = f"srun has no --mpi={wanted} here; it offers {known}"
        yield error("srun --mpi=list", f"{text}; change launcher.args of the site")
