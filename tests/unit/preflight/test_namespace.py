"""Ranks of a node that cannot read each other's memory from inside their images."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES
from hpctrain.engines.base import CMA, SINGLE_COPY
from hpctrain.preflight.images import ImageFacts
from hpctrain.preflight.images.namespace import namespace_findings, site_namespace_findings
from tests.jobs import mantle

TWO = ("resources.ranks_per_node=2", "container={image: x.sif}")


@pytest.fixture
def found(tmp_path, programs):
    def findings(*settings: str, container: str = "{}", engine="apptainer", suid="0", facts=None):
        programs.add(engine, out=f"VERSION=1.4.5\n{engine.upper()}_SUID_INSTALL={suid}\nX=1\n")
        path = tmp_path / "mine.yaml"
        path.write_text(
            "name: mine\ntitle: x\nscheduler: local\nlauncher: {kind: openmpi}\n"
            f"hostnames: ['*']\ncontainer: {container}\n"
        )
        job, (site, _) = mantle("local", *TWO, *settings).job, read_site(str(path))
        told = namespace_findings(job, site, ENGINES[engine](), "image", facts)
        return [str(f) for f in told]

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


UCX = ImageFacts("inside", "mpich", "4.0.2", soname="libmpich.so.12", has_horovod=True)


@pytest.mark.parametrize("settings", [("launch.comm=horovod",), ("launch.comm=mpi",), ()])
def test_namespace__an_image_with_mpich_over_ucx_is_refused(found, monkeypatch, settings):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    own = ("train.adversary=null", *settings) if "launch.comm=mpi" in settings else settings
    (line,) = found(*own, container="{mpi: mpich}", facts=UCX)
    assert line == (
        "error: image: apptainer is not installed setuid, so each of 2 ranks of a node has a user "
        "namespace of its own, and the image's MPICH (libmpich.so.12, as packages of Debian have "
        "it) speaks by UCX, which opens what other ranks have in /proc: MPI_Init would end with "
        "'Shared memory error'; set one_namespace: true in the site's container"
    )


@pytest.mark.parametrize(
    ("settings", "container", "facts", "uid"),
    [
        ((), "{mpi: mpich}", UCX, 0),
        ((), "{mpi: mpich}", None, 1000),
        ((), "{mpi: mpich}", replace(UCX, soname="libmpi.so.12"), 1000),
        ((), "{mpi: mpich}", replace(UCX, has_horovod=False), 1000),
        (("resources.gpus_per_rank=1",), "{mpi: mpich}", UCX, 1000),
        (("train.reduction.compression=bfloat16",), "{mpi: mpich}", UCX, 1000),
        (("launch.env.UCX_TLS='tcp,self'",), "{mpi: mpich}", UCX, 1000),
        ((), "{mpi: mpich, env: {UCX_TLS: 'tcp,self'}}", UCX, 1000),
        ((), "{mpi: mpich, abi: bind, library_path: [/mpi]}", UCX, 1000),
    ],
)
def test_namespace__what_may_start_is_warned_of(
    found, monkeypatch, settings, container, facts, uid
):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (line,) = found(*settings, container=container, facts=facts)
    assert line.startswith("warning: image: apptainer is not installed setuid")


@pytest.mark.parametrize(
    ("settings", "container", "suid"),
    [
        ((), "{mpi: mpich}", "1"),
        ((), "{mpi: mpich, one_namespace: true}", "0"),
        (("resources.ranks_per_node=1",), "{mpi: mpich}", "0"),
        (("launch.comm=ddp",), "{mpi: mpich}", "0"),
    ],
)
def test_namespace__an_mpich_over_ucx_that_starts(found, monkeypatch, settings, container, suid):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert found(*settings, container=container, suid=suid, facts=UCX) == []


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
