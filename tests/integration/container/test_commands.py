"""hpctrain container build and shell, for real and small, as an ordinary user."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.container.conftest import HERE
from tests.integration.container.login import Login
from tests.requires import requires
from tests.runs import wait_until

pytestmark = [requires(apptainer=True), pytest.mark.timeout(900)]


@pytest.fixture
def folder(user_tmp: Path, base_image: Path, login: Login) -> Path:
    """A definition of two layers on the small image, and a folder to lend."""
    shutil.copy(HERE / "layers.def", user_tmp / "layers.def")
    (user_tmp / "base.sif").symlink_to(base_image)
    (user_tmp / "lent").mkdir()
    (user_tmp / "lent" / "word").write_text("word\n")
    shutil.chown(user_tmp / "layers.def", login.user.name)
    return user_tmp


def build(login: Login, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    lent = ("--bind", f"{folder}/lent:/lent", "--env", "LENT=a value")
    words = ("container", "build", "layers.def", "--tmp", folder / "tmp", *lent, *more)
    return login.hpctrain(*words, cwd=folder, timeout=300)


def test_build__goes_on_above_the_layer_that_is_there(login: Login, folder: Path) -> None:
    text = (folder / "layers.def").read_text()
    (folder / "layers.def").write_text(text.replace("cat /ground >/top", "exit 3"))
    done = build(login, folder, "--force")
    assert done.returncode == 7, done.stderr
    assert "layer top: apptainer build ended with exit code 255" in done.stderr
    assert not (folder / "hpctrain.sif").exists()
    (folder / "layers.def").write_text(text)
    done = build(login, folder)
    assert done.returncode == 0, done.stderr
    assert "layer ground: building" not in done.stderr
    assert "  word\n" in done.stderr.replace("hpctrain:", "")
    said = login.user.run("apptainer", "exec", folder / "hpctrain.sif", "cat", "/top")
    assert said.stdout == "word\na value\n"
    words = ("apptainer", "inspect", "--labels", "--json", folder / "hpctrain.sif")
    labels = json.loads(login.user.run(*words).stdout)["data"]["attributes"]["labels"]
    assert labels["hpctrain.ground"] == "word"
    assert list((folder / "tmp").iterdir()) == []


def test_build__an_interrupt_leaves_nothing_behind(login: Login, folder: Path) -> None:
    text = (folder / "layers.def").read_text()
    (folder / "layers.def").write_text(
        text.replace("    #:layer top", "    sleep 100\n    #:layer top")
    )
    words = (login.python, "-m", "hpctrain", "container", "build", "layers.def", "--tmp", "tmp")
    lent = ("--bind", f"{folder}/lent:/lent", "--env", "LENT=x", "--force")
    command, env = login.user.command(*words, *lent), login.user.environment
    log = folder / "said.txt"
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=env, stderr=said)
        try:
            wait_until(lambda: list(folder.glob("tmp/*/build-temp-*/rootfs/var/theirs")), 120)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    assert process.returncode == 130, log.read_text()
    assert "interrupted; finished layers are kept" in log.read_text()
    assert list((folder / "tmp").iterdir()) == []
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True)
    assert left.stdout == ""


def test_shell__shows_what_ranks_would_see(login: Login, folder: Path) -> None:
    (folder / "job.yaml").write_text(JOB.format(folder=folder))
    words = ("sh", "-c", 'pwd; echo "$MINE $OMP_NUM_THREADS"; cat /lent/word; exit 4')
    done = login.hpctrain("container", "shell", "job.yaml", "--", *words, cwd=folder)
    assert done.returncode == 4, done.stderr
    assert done.stdout == f"{folder}\na 'b' $c 3\nword\n"


def test_shell__in_an_image_alone(login: Login, folder: Path) -> None:
    words = ("container", "shell", "./base.sif", "--", "cat", "lent/word")
    done = login.hpctrain(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "word\n"), done.stderr
    done = login.hpctrain("container", "shell", "./none.sif", cwd=folder)
    assert done.returncode == 7
    assert "none.sif: no such image; build it: hpctrain container build -o" in done.stderr


JOB = """name: inside
site: local
resources: {{nodes: 1, ranks_per_node: 1, cpus_per_rank: 3, walltime: "00:10:00"}}
launch: {{env: {{MINE: "a 'b' $c"}}}}
container: {{image: base.sif, binds: ["{folder}/lent:/lent"]}}
data: {{kind: fields, root: lent, targets: ["*.nc"], variables: [t], crop: [4, 4, 4]}}
train: {{task: super_resolution, upscale_factor: 2, epochs: 1, global_batch_size: 1}}
"""
