"""Tests that are cut off leave no process behind: real images, a real launcher."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.container.boxes import family, start
from tests.integration.container.fuse import PROGRAM, end_forgotten, forgotten
from tests.integration.container.user import User
from tests.requires import MPICH, requires
from tests.runs import wait_until

pytestmark = [requires(apptainer=True)]


def test_forgotten__is_ended_and_nothing_else(
    user: User, base_image: Path, user_tmp: Path, tmp_path: Path
) -> None:
    image = user_tmp / "own.sif"
    shutil.copy(base_image, image)
    words = user.command("apptainer", "exec", "--userns", image, "sleep", "60")
    process = subprocess.Popen(
        words, env=user.environment, cwd="/", start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: {PROGRAM, "sleep"} <= set(family(process.pid).values()), 30)
        assert not list(forgotten(user_tmp)), "its ranks still read it"
        before = family(process.pid)
        (server,) = [pid for pid, name in before.items() if name == PROGRAM]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if not Path(f"/proc/{server}").exists():
            pytest.fail("this engine's process ends with its starter: there is nothing to end")
        image.unlink()
        wait_until(lambda: list(forgotten(user_tmp)) == [server], 10)
        assert end_forgotten(tmp_path) == []
        assert end_forgotten(user_tmp) == [server]
        wait_until(lambda: not Path(f"/proc/{server}").exists(), 10)
    finally:
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)


@requires(mpich=True)
def test_start__that_takes_too_long_ends_ranks_and_images(
    user_tmp: Path, base_image: Path, tmp_path: Path
) -> None:
    """Hydra's ranks are in sessions of their own, and images' processes in groups of their own."""
    image = user_tmp / "own.sif"
    shutil.copy(base_image, image)
    begun = tmp_path / "begun"
    rank = ("apptainer", "exec", "--userns", "--bind", tmp_path, image, "sh", tmp_path / "rank.sh")
    (tmp_path / "rank.sh").write_text(f"echo >>{begun}\nsleep 300\necho ended\n")
    words = shlex.join(map(str, [MPICH, "-n", "2", *rank]))
    (tmp_path / "run.sh").write_text(f"echo from the start\n{words}\n")
    with pytest.raises(AssertionError, match="had no end in 12 s\nfrom the start\n"):
        start(tmp_path, seconds=12)
    assert begun.read_text() == "\n\n"
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in processes.stdout
    assert not list(forgotten(user_tmp))
