"""The container image and its labels."""

import json
import os
import time

import pytest

from hpctrain.preflight.image import image_findings
from hpctrain.preflight.images.look import with_remedy
from hpctrain.preflight.images.whole import report_of_job
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import BATCH, mantle

OPENMPI = {
    "hpctrain.version": "0.1.0",
    "hpctrain.device": "cuda",
    "hpctrain.mpi": "openmpi:5.0.8",
    "hpctrain.pmi": "pmix",
    "hpctrain.horovod": "0.28.1",
    "org.label-schema.build-arch": "amd64",
}
MPICH = {**OPENMPI, "hpctrain.mpi": "mpich:3.4.2", "hpctrain.pmi": "pmi1"}


def inspect(labels: dict[str, str] | None) -> str:
    """What `apptainer inspect --labels --json` prints."""
    return json.dumps({"data": {"attributes": {"labels": labels}}, "type": "container"}, indent=4)


@pytest.fixture
def found(tmp_path, programs):
    (tmp_path / "my image.sif").touch()

    def findings(site: str, *settings: str, image: str = "my image.sif"):
        resolved = mantle(site, *BATCH, f"container={{image: '{image}'}}", *settings)
        job = with_absolute_paths(resolved.job, tmp_path)
        run_dir = tmp_path / "jobs" / "mantle"
        return [str(f) for f in image_findings(job, resolved.site, run_dir)]

    return findings


GPU = "resources.gpus_per_rank=1"


@pytest.mark.parametrize(("site", "labels"), [("polaris", MPICH), ("thetagpu", OPENMPI)])
def test_labels__that_fit(found, programs, tmp_path, site, labels):
    programs.add("apptainer", out=inspect(labels))
    assert found(site, GPU, "launch.comm=horovod") == []
    assert programs.words("apptainer") == [f"inspect --labels --json {tmp_path}/my image.sif"]


@pytest.mark.parametrize(
    ("site", "labels", "settings", "words"),
    [
        (
            "polaris",
            OPENMPI,
            (),
            "holds Open MPI 5.0.8, and site polaris has MPI of the family mpich",
        ),
        ("polaris", OPENMPI, (), "its MPI starts by pmix, and pals offers pmi1 or pmi2 or cray"),
        (
            "thetagpu",
            {**OPENMPI, "hpctrain.device": "cpu"},
            (GPU,),
            "is built for cpu, and the job",
        ),
        (
            "polaris",
            {"hpctrain.mpi": "mpich:3.4.2"},
            ("launch.comm=horovod",),
            "error: container.image: holds no Horovod, and launch.comm is horovod",
        ),
        ("polaris", {"maker": "me"}, (), "whether its MPI fits is not known, as it cannot be read"),
        ("polaris", None, (), "whether its MPI fits is not known, as it cannot be read"),
    ],
)
def test_labels__that_do_not(found, programs, site, labels, settings, words):
    programs.add("apptainer", out=inspect(labels))
    assert [line for line in found(site, *settings) if words in line]


@pytest.mark.parametrize(
    ("mpi", "pmi", "fits"),
    [
        ("pmix_v4", "pmix", True),
        ("pmi2", "pmix", False),
        ("pmi2", "pmi1", True),
        ("none", "pmix", False),
    ],
)
def test_labels__sruns_own_way(found, programs, tmp_path, mpi, pmi, fits):
    programs.add("apptainer", out=inspect({**OPENMPI, "hpctrain.pmi": pmi}))
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: srun, args: ['--mpi={mpi}']}}\n"
    )
    lines = found(str(tmp_path / "mine.yaml"))
    assert (not [line for line in lines if "every rank would be rank 0 of 1" in line]) == fits


def test_image__not_there_is_built_so(found, tmp_path):
    command = f"hpctrain container build {tmp_path}/jobs/mantle -o '{tmp_path}/other image.sif'"
    head = f"error: container.image: {tmp_path}/other image.sif: no such file; "
    (line,) = found("polaris", image="other image.sif")
    assert line == f"{head}render the job, and build it: {command}"
    (tmp_path / "jobs" / "mantle").mkdir(parents=True)
    (line,) = found("polaris", image="other image.sif")
    assert line == f"{head}build it: {command}"


def test_image__of_a_registry(found):
    (line,) = found("polaris", image="docker://a/b:1")
    assert line.startswith(
        "warning: container.image: docker://a/b:1 would be fetched by every rank"
    )


def test_image__no_engine_here_is_a_note(found):
    (line,) = found("polaris")
    assert line.startswith("note: container.engine: apptainer is not in PATH here")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"err": "FATAL: not a SIF file", "code": 255}, "apptainer: FATAL: not a SIF file"),
        ({"out": "labels:"}, "it cannot be read: Expecting value"),
        ({"out": "[]"}, "apptainer inspect answered '[]'"),
    ],
)
def test_image__answers_that_are_none(found, programs, answer, words):
    programs.add("apptainer", **answer)
    (line,) = found("polaris")
    assert line.startswith("warning: container.image: ")
    assert words in line


@pytest.fixture
def here(found, programs, tmp_path):
    """Findings on a machine that this host is one of, with an engine that can start images."""

    def findings(*settings: str, labels=OPENMPI, inside: object = "exit 3", container="{}"):
        page = f"echo '{json.dumps(inside)}'" if isinstance(inside, dict) else inside
        body = f"case $1 in inspect) echo '{inspect(labels)}';; exec) {page};; "
        body += "buildcfg) echo APPTAINER_SUID_INSTALL=0;; esac"
        programs.add("apptainer", body=body)
        path = tmp_path / "mine.yaml"
        path.write_text(
            "name: mine\ntitle: x\nscheduler: slurm\nhostnames: ['*']\n"
            f"launcher: {{kind: openmpi}}\ncontainer: {container}\n"
        )
        return found(str(path), *settings)

    return findings


BROKEN = {"python": "3.11", "has_horovod": True, "errors": {"libmpi.so.40": "no such file"}}


def test_inside__libraries_that_are_missing_are_found_behind_our_labels(here):
    found = [line for line in here(inside=BROKEN) if "libmpi.so.40 (no such file)" in line]
    assert [line.partition(":")[0] for line in found] == ["error"]


def test_inside__is_looked_at_where_it_matters(here, programs):
    def is_entered(*settings: str, **more) -> bool:
        before = len(programs.words("apptainer"))
        here(*settings, inside=BROKEN, **more)
        calls = programs.words("apptainer")[before:]
        return any(call.startswith("exec ") for call in calls)

    bound = "{mpi: mpich, abi: bind, library_path: [/nothing]}"
    assert not is_entered("launch.comm=ddp")
    assert is_entered("launch.comm=ddp", container=bound)
    assert is_entered("launch.comm=ddp", labels={})


def test_inside__an_image_that_is_broken_is_refused_here_alone(here, found, programs):
    for labels in ({}, None):
        lines = here(labels=labels)
        assert [line for line in lines if line.startswith("error: ") and "cannot be read" in line]
        assert not [line for line in found("polaris") if line.startswith("error: ")]


def test_inside__one_that_does_not_answer_is_compared_by_its_labels(here, monkeypatch):
    monkeypatch.setattr("hpctrain.preflight.image.INSIDE_S", 0.2)
    began = time.monotonic()
    lines = here(labels=MPICH, inside="exec sleep 20")
    assert time.monotonic() - began < 10
    assert [line for line in lines if "these never work together" in line]
    (told,) = [line for line in lines if "did not answer within 0.2 s" in line]
    assert told.startswith("warning: container.image: ")


def test_inside__an_mpich_over_ucx_is_refused_before_and_by_container_check(
    here, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    labels, container = {**MPICH, "hpctrain.mpi.soname": "libmpich.so.12"}, "{mpi: mpich}"
    words = "MPI_Init would end with 'Shared memory error'"
    lines = here("launch.comm=horovod", labels=labels, container=container)
    (told,) = [line for line in lines if words in line]
    assert told.startswith("error: container.image: apptainer is not installed setuid")
    resolved = mantle(
        str(tmp_path / "mine.yaml"),
        *(*BATCH, "container={image: 'my image.sif'}", "launch.comm=horovod"),
    )
    report = report_of_job(resolved.job, resolved.site, tmp_path)
    (told,) = [str(finding) for finding in report.findings if words in str(finding)]
    assert told.startswith("error: image: apptainer is not installed setuid")


RIGHTS = "ERROR : Requesting capability set 0x1ffffffffff while permitted capability set is 0x1f"


def test_inside__that_a_root_without_all_rights_cannot_enter(here, monkeypatch):
    remedy = f"{RIGHTS}; this root has not all rights, so call this as an ordinary user"
    for uid, labels in ((0, OPENMPI), (0, {}), (1000, OPENMPI)):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        lines = here("launch.comm=mpi", labels=labels, inside=f"echo '{RIGHTS}' >&2; exit 255")
        (told,) = [line for line in lines if RIGHTS in line]
        assert told.endswith(remedy) == (uid == 0)
    assert with_remedy("exit 1") == "exit 1"
