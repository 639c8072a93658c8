"""hpctrain container render and build as commands, with a stand-in for the engine.

Real builds are in tests/integration/container; here it is what people see when one fails, is
interrupted, or cannot begin.
"""

from __future__ import annotations

import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.e2e.builds import OPTIONS, Machine
from tests.e2e.commands import one_message
from tests.runs import wait_until


def test_build__goes_on_where_it_failed(machine: Machine) -> None:
    (machine.bin / "fail-python").touch()
    done = machine.run("build", *OPTIONS)
    assert done.returncode == 7
    assert "layer python: apptainer build ended with exit code 255" in done.stderr
    assert "no space in python" in done.stderr
    (log,) = [word for word in done.stderr.split() if word.endswith(".log")][-1:]
    assert "words of python" in Path(log).read_text()
    assert list(machine.home.iterdir()) == []
    assert [path.suffix for path in machine.cache.glob("*.sif")] == [".sif"]
    (machine.bin / "fail-python").unlink()
    done = machine.run("build", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert machine.built() == ["system", "python", "python", "horovod", "labels"]
    assert "1 of 4 layers are in the cache; to build: python, horovod, labels" in done.stderr
    assert "all is well" in done.stderr
    assert done.stdout.splitlines()[1:] == [
        "container:",
        f"  image: {machine.home}/hpctrain.sif",
    ]
    whole = (machine.home / "hpctrain.sif").read_text()
    assert whole.index("apt-get install") < whole.index("pip install torch") < whole.index("%test")


def test_build__another_job_reuses_all_layers(machine: Machine) -> None:
    machine.run("build", *OPTIONS, "-o", "one.sif")
    done = machine.run("build", *OPTIONS, "-o", "two.sif")
    assert "4 of 4 layers are in the cache; to build: nothing" in done.stderr
    assert len(machine.built()) == 4
    assert (machine.home / "one.sif").read_bytes() == (machine.home / "two.sif").read_bytes()
    done = machine.run("build", *OPTIONS, "--comm", "ddp", "-o", "three.sif")
    assert "2 of 3 layers are in the cache; to build: labels" in done.stderr


def test_build__an_edited_step_is_built_with_those_above(machine: Machine) -> None:
    machine.run("render", *OPTIONS, "-o", "it.def")
    machine.run("build", "it.def")
    definition = machine.home / "it.def"
    definition.write_text(definition.read_text().replace("VERSION=0.28.1", "VERSION=0.28.0"))
    done = machine.run("build", "it.def", "-o", "b.sif")
    assert machine.built()[4:] == ["horovod", "labels"], done.stderr


def test_build__other_files_or_variables_make_another_image(machine: Machine) -> None:
    definition = "Bootstrap: docker\nFrom: debian:12\n\n%files\n    conf /etc\n%post\n    true\n"
    (machine.home / "it.def").write_text(definition)
    for number, (content, value) in enumerate(
        [("a", "x"), ("b", "x"), ("b", "secret"), ("b", "x")]
    ):
        (machine.home / "conf").write_text(content)
        done = machine.run("build", "it.def", "--env", f"MINE={value}", "-o", f"{number}.sif")
        assert done.returncode == 0, done.stderr
    assert len(machine.built()) == 3
    assert "1 of 1 layers are in the cache" in done.stderr
    kept = [path.read_bytes() for path in machine.cache.iterdir()]
    assert not [text for text in kept if b"secret" in text], "a variable's value is in the cache"


def test_build__a_failed_test_leaves_no_image(machine: Machine) -> None:
    (machine.bin / "fail-test").touch()
    done = machine.run("build", *OPTIONS)
    assert done.returncode == 7
    assert "fails its %test (exit code 1):\nhpctrain: the sum is wrong" in done.stderr
    assert not (machine.home / "hpctrain.sif").exists()


def test_build__an_interrupt_keeps_what_is_finished(machine: Machine) -> None:
    (machine.bin / "hang-python").touch()
    process = subprocess.Popen(
        machine.words("build", *OPTIONS, "--tmp", "tmp"), cwd=machine.home, env=machine.env(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: "python" in machine.built(), 30)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; finished layers are kept" in said
    assert "Traceback" not in said
    assert len(list(machine.cache.glob("*.sif"))) == 1, "half an image is left"
    assert not list((machine.home / "tmp").iterdir()), "the unpacked system is left"


def test_build__two_at_a_time_build_each_layer_once(machine: Machine) -> None:
    processes = [
        subprocess.Popen(
            machine.words("build", *OPTIONS, "-o", name), cwd=machine.home, env=machine.env(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name in ("a.sif", "b.sif")
    ]  # fmt: skip
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert sorted(machine.built()) == ["horovod", "labels", "python", "system"]


def test_build__lends_variables_and_folders(machine: Machine) -> None:
    (machine.home / "wheels").mkdir()
    bind = f"{machine.home}/wheels:/opt/wheels"
    done = machine.run("build", *OPTIONS, "--env", "MINE=value", "--bind", bind)
    assert done.returncode == 0, done.stderr
    assert (machine.bin / "built").read_text().split() == [
        *("system", "value", "python", "value", "horovod", "value", "labels", "value")
    ]
    assert "mkdir -p " in (machine.home / "hpctrain.sif").read_text()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("none.def",), 2, "none.def: no such file; `hpctrain container render -o none.def`"),
        (("it.def", "--mpi", "mpich"), 2, "--mpi: has no effect on a definition that is written"),
        ((*OPTIONS, "-o", "it.def"), 2, "it.def: exists; name another place with --output"),
        ((*OPTIONS, "--env", "NOT_SET_AT_ALL"), 2, "--env: NOT_SET_AT_ALL is not set here"),
        ((*OPTIONS, "--env", "a b=c"), 2, "--env: found 'a b=c'; allowed: NAME or NAME=VALUE"),
        ((*OPTIONS, "--bind", "/not/here:/x"), 2, "--bind: '/not/here' is not on this machine"),
        ((*OPTIONS, "--engine", "docker"), 2, "--engine: 'docker' builds no images here"),
        ((*OPTIONS, "--engine", "singularity"), 7, "no singularity in PATH"),
        (("--base", "./none.sif"), 7, "none.sif: no such image; it is what the definition begins"),
        (("--mpi-source", "openmpi-1.0.tar.gz"), 2, "openmpi-1.0.tar.gz: no such file; fetch the"),
        (("--mpi-source", "mpich-1.0.tgz"), 2, "is mpich's, and the image's MPI is openmpi"),
        (("it.def", "--mpi-source", "x"), 2, "--mpi-source: has no effect on a definition that"),
        (("junk.def",), 7, "a definition begins with `Bootstrap: ...`"),
    ],
)
def test_build__says_what_is_wrong(
    machine: Machine, words: tuple[str, ...], code: int, sentence: str
) -> None:
    machine.run("render", *OPTIONS, "-o", "it.def")
    (machine.home / "junk.def").write_text("name: mantle\n")
    env = {k: v for k, v in machine.env().items()}
    env["PATH"] = f"{machine.bin}:/usr/sbin"  # no other engine
    done = subprocess.run(
        machine.words("build", *words), cwd=machine.home, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert sentence in one_message(done.stderr)
    assert machine.built() == []
    assert sorted(path.name for path in machine.home.iterdir()) == ["it.def", "junk.def"]


def test_render__for_a_site_alone(machine: Machine) -> None:
    done = machine.run("render", "--site", "polaris", "--device", "cuda", "--comm", "ddp")
    assert "mpich-3.4.2.tar.gz" in done.stdout
    assert "hpctrain.device cuda" in done.stdout


def test_render__the_archive_of_a_site_is_for_its_own_mpi(machine: Machine) -> None:
    archive = machine.home / "openmpi-5.0.7.tar.gz"
    (machine.home / "configure").touch()
    with tarfile.open(archive, "w:gz") as file:
        file.add(machine.home / "configure", "openmpi-5.0.7/configure")
    (machine.home / "own.yaml").write_text(
        "name: own\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container: {{build: {{base: debian12, mpi_source: {archive}}}}}\n"
    )
    words = ("render", "--site", "own.yaml")
    assert f"    {archive} /usr/local/" in machine.run(*words).stdout
    assert str(archive) not in machine.run(*words, "--mpi", "mpich").stdout
    packaged = machine.run(*words, "--mpi-from", "distribution")
    assert str(archive) not in packaged.stdout
    assert "openmpi-bin" in packaged.stdout
