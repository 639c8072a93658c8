"""An image against a machine: each finding, and its remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hpctrain.cli import main as hpctrain
from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES
from hpctrain.preflight.images import ImageFacts, fit_findings
from hpctrain.preflight.images.check import Wanted, wanted_by
from hpctrain.preflight.images.facts import from_probe
from hpctrain.preflight.images.host import HostFacts, host_facts
from hpctrain.preflight.images.libraries import newest_glibc
from hpctrain.preflight.images.place import filesystem, place_findings
from hpctrain.preflight.images.targets import target_findings
from tests.jobs import mantle

OPENMPI = ImageFacts("inside", "openmpi", "5.0.8", "libmpi.so.40", "/m/libmpi.so.40", ("pmix",))
MPICH = ImageFacts("inside", "mpich", "4.1.2", "libmpi.so.12", "/m/libmpi.so.12", ("pmi1", "pmi2"))
MPI_LIST = """MPI plugin types are...
\tcray_shasta
\tnone
\tpmi2
\tpmix
specific pmix plugin versions available: pmix_v4
"""


def machine(folder: Path, launcher: str, container: str = "{}", more: str = "") -> Path:
    path = folder / "mine.yaml"
    path.write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {launcher}\ncontainer: {container}\n"
        + more
    )
    return path


@pytest.fixture
def fit(tmp_path):
    """Lines of what is found."""

    def lines(image, launcher="{kind: srun}", container="{}", host=None, **wanted):
        site, _ = read_site(str(machine(tmp_path, launcher, container)))
        found = fit_findings(image, host, Wanted(site.launcher, **wanted), site, "image")
        return [str(finding) for finding in found]

    return lines


def with_facts(image: ImageFacts, **more) -> ImageFacts:
    return ImageFacts(**{**image.__dict__, **more})


SRUN = HostFacts(
    "srun", "22.05", "srun", ("none", "pmi2", "pmix", "pmix_v4"), "none", "2.36", "x86_64"
)
HYDRA = "{mpi: mpich}"


@pytest.mark.parametrize(
    ("image", "launcher", "container", "words"),
    [
        (OPENMPI, "{kind: srun}", "{}", "srun without --mpi (here: none) offers none"),
        (OPENMPI, "{kind: srun}", "{}", "set launcher.args of the site to ['--mpi=pmix']"),
        (OPENMPI, "{kind: srun, args: ['--mpi=pmi2']}", "{}", "srun --mpi=pmi2 offers pmi1 or"),
        (MPICH, "{kind: srun, args: ['--mpi=pmix']}", HYDRA, "set launcher.args of the site to ["),
        (OPENMPI, "{kind: srun, args: ['--mpi=pmix_v1']}", "{}", "is not among what srun offers"),
        (MPICH, "{kind: srun, args: ['--mpi=pmi2']}", "{}", "never work together"),
        (
            MPICH,
            "{kind: openmpi}",
            HYDRA,
            "its MPI starts by pmi1 or pmi2, and openmpi offers pmix",
        ),
        (
            with_facts(OPENMPI, missing=("libmpi.so.40 (no such file)",)),
            "{kind: srun, args: ['--mpi=pmix']}",
            "{}",
            "asks for a library that it does not find: libmpi.so.40 (no such file)",
        ),
        (
            with_facts(OPENMPI, arch="aarch64"),
            "{kind: srun, args: ['--mpi=pmix']}",
            "{}",
            "is made for aarch64, and this host is x86_64",
        ),
        (
            with_facts(OPENMPI, pmix="2.2"),
            "{kind: srun, args: ['--mpi=pmix']}",
            "{}",
            "do not understand each other",
        ),
    ],
)
def test_fit__errors(fit, image, launcher, container, words):
    found = [line for line in fit(image, launcher, container, SRUN) if words in line]
    assert found, fit(image, launcher, container, SRUN)
    assert found[0].startswith("error: ")


def test_fit__what_fits_is_not_complained_about(fit):
    image = with_facts(OPENMPI, pmix="4.2.2", glibc="2.36", arch="x86_64")
    assert fit(image, "{kind: srun, args: ['--mpi=pmix']}", "{}", SRUN) == []
    assert fit(MPICH, "{kind: srun, args: ['--mpi=pmi2']}", HYDRA, SRUN) == []


def test_fit__ranks_that_need_no_mpi_are_warned(fit):
    (line,) = fit(OPENMPI, host=SRUN, comm="ddp")
    assert line.startswith("warning: image: its MPI starts by pmix")
    assert fit(OPENMPI, host=SRUN, comm="single") == []


@pytest.mark.parametrize("comm", ["ddp", "single"])
def test_fit__no_mpi_at_all_refuses_only_ranks_that_need_it(fit, tmp_path, comm):
    (tmp_path / "libmpi.so.12").write_bytes(b"\0GLIBC_2.38\0")
    bound = "{mpi: mpich, abi: bind, library_path: ['" + str(tmp_path) + "']}"
    broken = with_facts(OPENMPI, missing=("libmpi.so.40 (no such file)",), glibc="2.31")
    found = fit(broken, "{kind: hydra}", bound, comm=comm)
    words = (
        "these never work",
        "does not find",
        "so it cannot be put",
        "image's own",
        "needs 2.38",
    )
    assert [word for word in words if not any(word in line for line in found)] == []
    assert [line for line in found if not line.startswith("warning: ")] == []
    needed = fit(broken, "{kind: hydra}", bound, comm="auto")
    assert [line for line in needed if not line.startswith("error: ")] == []


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        (["--mpi", "pmix"], {}, None),
        (["--mpi=pmi2", "--mpi=pmix"], {}, None),
        ([], {"SLURM_MPI_TYPE": "pmix"}, None),
        (["--mpi=pmix"], {"SLURM_MPI_TYPE": "pmi2"}, None),
        (
            [],
            {"SLURM_MPI_TYPE": "pmi2"},
            "SLURM_MPI_TYPE=pmi2 offers pmi1 or pmi2: every rank would",
        ),
        ([], {"SLURM_MPI_TYPE": "gone"}, "error: launcher: SLURM_MPI_TYPE=gone is not among what"),
        (["--mpi", "gone"], {}, "error: launcher: --mpi=gone is not among what srun offers here"),
    ],
)
def test_fit__every_way_to_choose_sruns_pmi(fit, args, env, words):
    found = fit(OPENMPI, f"{{kind: srun, args: {args}}}", host=SRUN, env=env)
    assert [words in line for line in found] == ([True] if words else []), found


def test_wanted__variables_of_the_job_before_those_of_the_site(tmp_path):
    more = "env: {SLURM_MPI_TYPE: pmix, A: '1'}\n"
    path = str(machine(tmp_path, "{kind: srun}", more=more))
    found = mantle(path, "launch.env.SLURM_MPI_TYPE=pmi2")
    assert wanted_by(found.job, found.site).env == {"SLURM_MPI_TYPE": "pmi2", "A": "1"}
    assert wanted_by(None, found.site).env == {"SLURM_MPI_TYPE": "pmix", "A": "1"}


@pytest.mark.parametrize(
    ("pmix", "words"),
    [("2.2.5", ["error: image: holds PMIx 2.2.5, and srun's is 4, "]), ("3.2", [])],
)
def test_fit__pmix_3_and_newer_start_each_other(fit, pmix, words):
    found = fit(with_facts(OPENMPI, pmix=pmix), "{kind: srun, args: ['--mpi=pmix']}", "{}", SRUN)
    assert [line[: len(words[0])] for line in found] == words


@pytest.mark.parametrize(
    ("host", "image", "words"),
    [
        ("5.0.8", "4.1.4", "error: image: holds Open MPI 4.1.4, which does not know the daemons"),
        ("4.1.4", "5.0.8", None),
        ("3.1.6", "4.1.4", "warning: image: holds Open MPI 4.1.4, and mpirun here is 3.1.6"),
    ],
)
def test_fit__versions_of_open_mpi(fit, host, image, words):
    here = HostFacts("openmpi", host, "mpirun")
    found = fit(with_facts(OPENMPI, mpi_version=image), "{kind: openmpi}", host=here)
    assert [line[: len(words or "")] for line in found] == ([words] if words else [])


def test_fit__a_launcher_of_another_family(fit):
    here = HostFacts("hydra", "4.0.2", "mpirun")
    (line,) = fit(OPENMPI, "{kind: openmpi}", host=here)
    assert line.startswith("error: launcher: mpirun in PATH is of the family hydra")


@pytest.mark.parametrize(
    ("driver", "cuda", "device", "words"),
    [
        ("470.82.01", "12.4", "cuda", "error: image: is built for CUDA 12.4, which needs driver"),
        ("535.104.05", "12.4", "cuda", None),
        ("535.104.05", "13.0", "cuda", "error: image: is built for CUDA 13.0, which needs driver"),
        ("", "12.4", "cuda", "note: image: is built for CUDA 12.4, and no driver is here"),
        ("470.82.01", "12.4", "cpu", None),
    ],
)
def test_fit__drivers(fit, driver, cuda, device, words):
    image = with_facts(OPENMPI, device="cuda", cuda=cuda)
    here = HostFacts("srun", "22", "srun", driver=driver)
    found = fit(image, "{kind: srun, args: ['--mpi=pmix']}", host=here, device=device)
    assert [line[: len(words or "")] for line in found] == ([words] if words else [])


def bind_site(folder: Path) -> str:
    return f"{{mpi: mpich, abi: bind, library_path: ['{folder}', $NOTHING]}}"


def test_fit__a_swap_that_is_none(fit, tmp_path):
    launcher = "{kind: srun, args: ['--mpi=pmi2']}"
    (tmp_path / "libmpi.so.12").write_bytes(b"\0GLIBC_2.4\0GLIBC_2.38\0GLIBC_2.17\0")
    (line,) = fit(MPICH, launcher, bind_site(tmp_path))
    assert "libmpi.so.12 leads to /m/libmpi.so.12, the image's own" in line
    own = with_facts(MPICH, library=f"{tmp_path}/libmpi.so.12", glibc="2.31")
    (line,) = fit(own, launcher, bind_site(tmp_path))
    assert f"has glibc 2.31, and the host's {tmp_path}/libmpi.so.12 needs 2.38" in line
    assert fit(with_facts(own, glibc="2.38"), launcher, bind_site(tmp_path)) == []
    debian = with_facts(own, soname="libmpich.so.12", glibc="2.38")
    (line,) = fit(debian, launcher, bind_site(tmp_path))
    assert "asks for libmpich.so.12" in line


def test_newest_glibc__nothing_there(tmp_path):
    assert newest_glibc([str(tmp_path)], "libmpi.so.12") == ("", "")


def test_host_facts__recorded(programs):
    site, _ = read_site("generic-slurm")
    spec = site.launcher.model_copy(update={"kind": "srun", "command": None})
    programs.add("srun", body=f"[ $1 = --version ] && echo slurm 22.05.8 || printf '{MPI_LIST}'")
    programs.add("scontrol", out="MpiDefault              = pmix\n")
    programs.add("nvidia-smi", out="550.54.15\n")
    found = host_facts(spec)
    assert (found.launcher, found.launcher_version) == ("srun", "22.05.8")
    assert found.plugins == ("cray_shasta", "none", "pmi2", "pmix", "pmix_v4")
    assert (found.default_plugin, found.driver) == ("pmix", "550.54.15")


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("mpirun (Open MPI) 4.1.4\n\nReport bugs\n", ("openmpi", "4.1.4")),
        ("HYDRA build details:\n    Version:      4.0.2\n    Release", ("hydra", "4.0.2")),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build", ("hydra", "2021.9")),
        ("something 1.2", ("", "")),
    ],
)
def test_host_facts__what_launchers_say(programs, out, expected):
    programs.add("mpirun", out=out)
    site, _ = read_site("generic-pbs")
    found = host_facts(site.launcher.model_copy(update={"command": "mpirun"}))
    assert (found.launcher, found.launcher_version) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Open MPI v4.1.4, package: Debian", ("openmpi", "4.1.4")),
        ("MPICH Version:      5.0.2\nMPICH Release date", ("mpich", "5.0.2")),
        ("MPI VERSION    : CRAY MPICH version 8.1.31 (ANL base 3.4a2)", ("mpich", "8.1.31")),
        ("Intel(R) MPI Library 2021.9 for Linux", ("mpich", "")),
        ("", ("", "")),
    ],
)
def test_from_probe__families(text, expected):
    found = from_probe({"python": "3.11", "version_text": text})
    assert (found.mpi, found.mpi_version) == expected


MOUNTS = "/dev/sda / ext4 rw 0 0\nnfs:/h /home nfs4 rw 0 0\ntmpfs /home/t\\040x tmpfs rw 0 0\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/x.sif", "ext4"), ("/home/u/x.sif", "nfs4"), ("/home/t x/y", "tmpfs"), ("/homes", "ext4")],
)
def test_filesystem(tmp_path, path, kind):
    (tmp_path / "mounts").write_text(MOUNTS)
    assert filesystem(path, tmp_path / "mounts") == kind


def test_place__disk_of_this_host_and_kinds_of_images(tmp_path):
    site, _ = read_site(str(machine(tmp_path, "{kind: srun}")))
    (tmp_path / "mounts").write_text("/dev/sda / ext4 rw 0 0\n")
    image = tmp_path / "i.sif"
    image.write_bytes(b"\0" * 32 + b"SIF_MAGIC\0")

    def lines(engine: str, **more) -> list[str]:
        found = place_findings(
            str(image), ENGINES[engine](), site, "image", mounts=tmp_path / "mounts", **more
        )
        return [str(finding) for finding in found]

    (line,) = lines("apptainer")
    assert "lies on a disk of this host (ext4)" in line
    assert lines("apptainer", is_here=False) == []
    assert lines("charliecloud", is_here=False)[0].startswith("error: image: ")
    if os.geteuid():
        image.chmod(0)
        assert "cannot be read; mend its permissions" in lines("apptainer")[0]


def test_targets__that_charliecloud_does_not_make(tmp_path):
    (tmp_path / "data").mkdir()
    engine = ENGINES["charliecloud"]()
    binds = ["/data", "/host:/tmp/x", "/opt/mpi:/opt/own", "/opt/mpi:/opt/own:ro"]
    (found,) = target_findings(engine, str(tmp_path), binds)
    assert str(found).endswith(
        f"ch-run binds at places that are there: mkdir -p {tmp_path}/opt/own"
    )
    assert list(target_findings(ENGINES["apptainer"](), str(tmp_path), binds)) == []


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as info:
        hpctrain(["container", "check", *words])
    return int(info.value.code or 0)


def test_command__json(programs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = {"hpctrain.mpi": "openmpi:5.0.8", "hpctrain.pmi": "pmix", "hpctrain.glibc": "2.36"}
    page = {"data": {"attributes": {"labels": labels}}}
    programs.add(
        "apptainer", body=f"case $1 in inspect) echo '{json.dumps(page)}';; *) exit 3; esac"
    )
    programs.add("srun", body=f"[ $1 = --version ] && echo slurm 22.05.8 || printf '{MPI_LIST}'")
    (tmp_path / "i.sif").touch()
    site = machine(tmp_path, "{kind: srun, args: ['--mpi=pmi2']}")
    assert run("i.sif", "--site", str(site), "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert found["engine"] == "apptainer"
    assert found["errors"] >= 1
    assert found["on_host"]["plugins"][-1] == "pmix_v4"


@pytest.mark.parametrize("words", [[], ["--site", "auto"]])
def test_command__the_site_of_this_host(programs, tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    programs.add("sbatch")
    assert run("gone.sif", *words) == 2
    assert "(site generic-slurm)" in capsys.readouterr().out


def test_command__refuses(programs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("gone.sif", "--site", "local") == 2
    assert (
        f"{tmp_path}/gone.sif: no such file; build it, or give its path" in capsys.readouterr().out
    )
    assert run() == 2
    assert "no image: name one" in capsys.readouterr().err
    assert run("i.sif", "--set", "name=x") == 2
    assert "there is none" in capsys.readouterr().err
    site = machine(tmp_path, "{kind: srun}", "{engine: none}")
    assert run("i.sif", "--site", str(site)) == 3
    assert "has no container engine" in capsys.readouterr().err
