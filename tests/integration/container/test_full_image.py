"""The whole image from the rendered definition: built by an ordinary user, tested, trained in.

The first run builds it, some minutes; later ones take the layers from the user's cache.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hpctrain.container import versions
from tests.integration.container.two_nodes import LAUNCHERS, Desk, assert_learned_the_same
from tests.integration.container.user import User
from tests.requires import requires

pytestmark = [requires(apptainer=True), pytest.mark.timeout(4000)]


def test_full_image__says_what_is_in_it(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "inspect", "--labels", "--json", full_image)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    ours = {name: value for name, value in labels.items() if name.startswith("hpctrain.")}
    assert ours.pop("hpctrain.torch").startswith(versions()["python"]["torch"])
    assert ours.pop("hpctrain.version")
    assert ours == {
        "hpctrain.device": "cpu",
        "hpctrain.mpi": "openmpi:4.1.4",
        "hpctrain.mpi.soname": "libmpi.so.40",
        "hpctrain.pmi": "pmix",
        "hpctrain.pmix": "4.2.2",
        "hpctrain.horovod": versions()["horovod"],
        "hpctrain.glibc": "2.36",
    }


def test_full_image__passes_its_test(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "test", full_image)
    assert done.returncode == 0, done.stderr
    assert "two ranks: allreduce passed" in done.stdout
    assert f"horovod {versions()['horovod']}" in done.stdout


def test_full_image__has_what_was_pinned(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "exec", full_image, "python3", "-m", "pip", "freeze")
    found = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    for name, pin in versions()["python"].items():
        assert found[name].partition("+")[0] == pin, name


@requires(slurm=True, mpi=True, openmpi4=True, horovod=True)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_mantle__learns_the_same_inside_over_two_nodes(
    desk: Desk, outside: dict[str, torch.Tensor], full_image: Path, launcher: str
) -> None:
    run = desk.inside(full_image, f"whole-{launcher}")
    assert_learned_the_same(run, outside)
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["launches"][-1]["container"]["image"] == str(full_image)
