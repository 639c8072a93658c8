"""The small image that other tests here use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.container.user import User
from tests.requires import requires

pytestmark = [requires(apptainer=True), pytest.mark.timeout(900)]  # it may have to be built


def test_base_image__says_which_mpi_it_holds(base_image: Path, user: User) -> None:
    done = user.run("apptainer", "inspect", "--labels", "--json", base_image)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    assert labels["hpctrain.mpi"] == "openmpi:4.1.4"
    assert labels["hpctrain.glibc"] == "2.36"


def test_base_image__starts_two_ranks_with_its_own_mpi(
    base_image: Path, user: User, user_tmp: Path
) -> None:
    image = ("apptainer", "exec", "--pwd", user_tmp, base_image)
    words = ("mpirun", "-n", "2", "--oversubscribe", "printenv", "OMPI_COMM_WORLD_RANK")
    done = user.run(*image, *words, cwd=user_tmp)
    assert sorted(done.stdout.split()) == ["0", "1"], done.stderr
