"""What srun offers, from recorded words."""

from __future__ import annotations

import ast

import pytest

from hpctrain.config.site import LauncherSpec
from hpctrain.doctor.pmi import offered_pmi, pmi_topic
from hpctrain.launchers import make_launcher
from hpctrain.preflight.images.pmi import interfaces_of
from tests.jobs import REPO

SLURM_22 = """srun: MPI types are...
srun: none
srun: pmi2
srun: pmix
srun: pmix_v4
"""
SLURM_23 = """MPI plugin types are...
\tnone
\tcray_shasta
\tpmi2
\tpmix
specific pmix plugin versions available: pmix_v4,pmix_v5
"""
OPEN_MPI = {"mpi4py": {"family": "Open MPI"}}
MPICH = {"mpi4py": {"family": "MPICH", "version": "MPICH Version: 4.3.2", "has_pmix": False}}
CRAY = {"mpi4py": {"family": "MPICH", "version": "MPI VERSION : CRAY MPICH version 8.1.28"}}


def test_offered_pmi__recorded() -> None:
    assert offered_pmi(" ".join(SLURM_22.split())) == ["none", "pmi2", "pmix", "pmix_v4"]
    expected = ["cray_shasta", "none", "pmi2", "pmix", "pmix_v4", "pmix_v5"]
    assert offered_pmi(" ".join(SLURM_23.split())) == expected


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Lines about a launcher, with an srun and a scontrol that say what was recorded."""

    def lines(
        mpi,
        *args: str,
        kind: str = "srun",
        offer: str = SLURM_22,
        default: str = "none",
        comm: str = "auto",
        **env: str,
    ):
        words = {"srun": offer, "scontrol": f"MpiDefault              = {default}\n"}
        for name, text in words.items():
            (tmp_path / f"{name}.txt").write_text(text)
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\ncat '{tmp_path / name}.txt'\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        spec = {"kind": kind, "args": list(args)}
        topic = pmi_topic(make_launcher(LauncherSpec.model_validate(spec)), mpi, env, comm)
        return [(line.severity, line.text, line.remedy) for line in topic.lines]

    return lines


def test_pmi__default_none_and_open_mpi(said) -> None:
    ((severity, text, remedy),) = said(OPEN_MPI)
    assert severity == "error"
    assert text.endswith("default none; Open MPI wants pmix, not none")
    assert remedy == "set launcher: {args: [--mpi=pmix]} in the site"


def test_pmi__asked_for_and_fits(said) -> None:
    ((severity, text, _),) = said(OPEN_MPI, "--mpi=pmix")
    assert severity == "ok"
    assert text.endswith("pmix is used, and fits Open MPI")


def test_pmi__asked_for_and_not_offered(said) -> None:
    ((severity, text, _),) = said(OPEN_MPI, "--mpi=pmix_v9")
    assert severity == "error"
    assert text.endswith("the site asks for pmix_v9")


def test_pmi__not_used(said) -> None:
    ((severity, text, _),) = said(OPEN_MPI, kind="openmpi")
    assert severity == "ok"
    assert text.endswith("not used, as openmpi starts the ranks")


def test_pmi__no_fitting_one_is_offered(said) -> None:
    ((severity, _, remedy),) = said(OPEN_MPI, offer="srun: MPI types are...\nsrun: none\n")
    assert severity == "error"
    assert remedy == "set launcher.kind: openmpi in the site, or launch.comm: ddp in the job"


def test_pmi__mpich_of_its_own_interfaces_under_pmix(said) -> None:
    ((severity, text, remedy),) = said(MPICH, "--mpi=pmix")
    assert severity == "error"
    assert text.endswith("MPICH wants pmi1 or pmi2, not pmix")
    assert remedy == "set launcher: {args: [--mpi=pmi2]} in the site"
    ((severity, text, _),) = said({"mpi4py": {**MPICH["mpi4py"], "has_pmix": True}}, "--mpi=pmix")
    assert (severity, text.endswith("pmix is used, and fits MPICH")) == ("ok", True)


@pytest.mark.parametrize(("comm", "severity"), [("ddp", "warning"), ("horovod", "error")])
def test_pmi__misfit_of_ranks_that_need_no_mpi(said, comm: str, severity: str) -> None:
    ((found, text, _),) = said(OPEN_MPI, comm=comm)
    assert (found, text.endswith("Open MPI wants pmix, not none")) == (severity, True)


def test_pmi__cray(said) -> None:
    ((severity, text, _),) = said(CRAY, "--mpi=cray_shasta", offer=SLURM_23)
    assert (severity, text.endswith("cray_shasta is used, and fits MPICH")) == ("ok", True)
    assert said(CRAY, "--mpi=pmi2", offer=SLURM_23)[0][0] == "error"


def test_pmi__asked_for_in_other_words(said) -> None:
    for args, env in ((("--mpi", "pmix"), {}), ((), {"SLURM_MPI_TYPE": "pmix"})):
        ((severity, text, _),) = said(OPEN_MPI, *args, **env)
        assert (severity, text.endswith("pmix is used, and fits Open MPI")) == ("ok", True)


@pytest.mark.parametrize("has_pmix", [True, False])
@pytest.mark.parametrize("text", ["Open MPI v5.0.11", "MPICH Version: 4", "MPI VERSION : CRAY 8"])
def test_interfaces_of__as_the_probe_inside_images(text: str, has_pmix: bool) -> None:
    source = (REPO / "hpctrain/preflight/images/probe.py").read_text()
    (own,) = [n for n in ast.parse(source).body if getattr(n, "name", "") == "pmi_of"]
    names = {"loaded": lambda _: ["/usr/lib/libpmix.so.2"] * has_pmix}
    exec(ast.unparse(own), names)  # noqa: S102 - it stands alone, and runs when it is imported
    assert tuple(names["pmi_of"](text)) == interfaces_of(text, has_pmix=has_pmix)
