"""The script behind `hpctrain container shell`."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from hpctrain.config.load import read_site
from hpctrain.config.words import CLEANING_VARIABLES
from hpctrain.errors import RenderError
from hpctrain.render.enter import enter_image, enter_job
from tests.jobs import BATCH, inputs, mantle

IMAGE = ("container.image=/images/it is.sif", "resources.gpus_per_rank=1")


def enter(site: str, *settings: str, command: tuple[str, ...] = ()) -> str:
    resolved = mantle(site, *BATCH, *settings)
    text = enter_job(resolved.job, resolved.site, inputs(), command)
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return text


def test_enter_job__as_its_ranks_do() -> None:
    text = enter("polaris", *IMAGE, "launch.env.MINE='a b'", "container.binds=[/lus/data]")
    assert "module load cray-mpich-abi" in text
    assert "export MINE='a b'" in text
    assert "apptainer exec" in text
    assert "--nv" in text
    assert "--bind /lus/data" in text
    assert "APPTAINERENV_LD_LIBRARY_PATH" in text
    assert "'/images/it is.sif'" in text
    assert "mpiexec" not in text


def test_enter_job__runs_a_command_as_it_was_given() -> None:
    command = ("python3", "-c", "print(1); print(2)")
    text = enter("generic-slurm", *IMAGE, command=command)
    assert shlex.split(text.replace("\\\n", ""))[-3:] == ["python3", "-c", "print(1); print(2)"]


def test_enter_job__without_an_image() -> None:
    with pytest.raises(RenderError, match="job mantle runs in no image; name one"):
        enter("generic-slurm")


def test_enter_image__with_what_the_machine_needs() -> None:
    text = enter_image("/i.sif", read_site("frontier")[0], "/home/me/$x", ("true",))
    assert "--bind /opt/cray" in text
    assert 'run="/home/me/\\$x"' in text
    assert text.rstrip().endswith("true")


@pytest.mark.parametrize("engine", ["apptainer", "singularity"])
def test_enter_image__what_a_user_clears_the_environment_with_is_taken_away(
    tmp_path, monkeypatch, programs, engine
) -> None:
    programs(engine, "env >seen")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container: {{engine: {engine}}}\n"
    )
    for name in CLEANING_VARIABLES:
        monkeypatch.setenv(name, "1")
    text = enter_image(
        "/i.sif", read_site(str(tmp_path / "mine.yaml"))[0], str(tmp_path), ("true",)
    )
    subprocess.run(["/bin/bash", "-c", text], check=True)
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert [name for name in CLEANING_VARIABLES if name in seen] == []
