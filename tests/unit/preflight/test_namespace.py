"""Ranks of a node that cannot read each other's memory from inside their images."""

from __future__ import annotations

import pytest

from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES
from hpctrain.engines.base import CMA, SINGLE_COPY
from hpctrain.preflight.images.namespace import namespace_findings, site_namespace_findings
from tests.jobs import mantle

TWO = ("resources.ranks_per_node=2", "container={image: x.sif}")


@pytest.fixture
def found(tmp_path, programs):
    def findings(*settings: str, container: str = "{}", engine="apptainer", suid="0"):
        programs.add(engine, out=f"VERSION=1.4.5\n{engine.upper()}_SUID_INSTALL={suid}\nX=1\n")
        path = tmp_path / "mine.yaml"
        path.write_text(
            "name: mine\ntitle: x\nscheduler: local\nlauncher: {kind: openmpi}\n"
            f"hostnames: ['*']\ncontainer: {container}\n"
        )
        job, (site, _) = mantle("local", *TWO, *settings).job, read_site(str(path))
        return [str(f) for f in namespace_findings(job, site, ENGINES[engine](), "image")]

    return findings


def test_namespace__a_rank_each_is_told(found):
    (line,) = found()
    assert line == (
        "warning: image: apptainer is not installed setuid, so each of 2 ranks of a node has a "
        "user namespace of its own, and large messages between them are slower; set one_namespace: "
        "true in the site's container"
    )


def test_namespace__singularity_has_no_such_option(found):
    (line,) = found(engine="singularity")
    assert line.endswith("are slower; use apptainer, which has one_namespace: true")


@pytest.mark.parametrize(
    ("settings", "container"),
    [
        ((f"launch.env.{SINGLE_COPY}=cma",), "{}"),
        ((), "{abi: bind, library_path: [/mpi]}"),
    ],
)
def test_namespace__what_the_script_does_not_prevent_may_hang(found, settings, container):
    (line,) = found(*settings, container=container)
    assert f"Open MPI 4.1 may hang with large messages; set {SINGLE_COPY}: none in l" in line


def test_namespace__mpich_aborts_where_the_script_does_not_prevent_it(found):
    (line,) = found(container="{mpi: mpich, abi: bind, library_path: [/mpi]}")
    assert "large messages between them are slower" in line
    (line,) = found(f"launch.env.{CMA}='1'", container="{mpi: mpich}")
    assert f"MPICH 5 aborts with large messages; set {CMA}: 0 in launch.env" in line


def test_namespace__an_mpich_over_ucx_would_not_start(found):
    (line,) = found(container="{mpi: mpich}")
    assert "are slower, and an MPICH over UCX, such as Debian's, does not start; set" in line
    (line,) = found(container="{mpi: mpich, abi: bind, library_path: [/mpi]}")
    assert "UCX" not in line, "the host's MPICH is not the image's"


def test_namespace__a_site_without_a_job_is_told_in_a_note(found, tmp_path):
    found()
    site, _ = read_site(str(tmp_path / "mine.yaml"))
    engine = ENGINES["apptainer"]()
    (told,) = site_namespace_findings(site, engine, "image")
    assert str(told).startswith("note: image: apptainer is not installed setuid, so each rank of a")
    own = site.container.model_copy(update={"one_namespace": True})
    other = site.model_copy(update={"container": own})
    assert list(site_namespace_findings(other, engine, "image")) == []


@pytest.mark.parametrize(
    ("settings", "container", "suid"),
    [
        ((), "{}", "1"),
        ((), "{}", "?"),
        ((), "{one_namespace: true}", "0"),
        (("resources.ranks_per_node=1",), "{}", "0"),
        (("launch.comm=ddp",), "{}", "0"),
    ],
)
def test_namespace__nothing_to_tell(found, settings, container, suid):
    assert found(*settings, container=container, suid=suid) == []
