"""Real podman-hpc over a real podman without rights, under a real mpirun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from tests.integration.container.boxes import OPENMPI, render_shown, shown
from tests.integration.container.login import Login
from tests.integration.container.open_python import OpenPython
from tests.integration.container.podman import IMAGE, PodmanHpc, message_queues
from tests.integration.container.test_mismatch import IMAGES_OWN
from tests.requires import find_mpirun, requires, skip
from tests.runs import SmallRun, make_small, newest

pytestmark = [
    requires(mpi=True, openmpi4=True, apptainer=True, podman=True),
    pytest.mark.timeout(600),
]
GPUS = ("resources.gpus_per_rank=1", "train.adversary=null", f"container.image=docker://{IMAGE}")
ENGINE = {"engine": "podman-hpc"}


class UsersRun(SmallRun):
    """A folder of the user's, who renders and starts its runs."""

    def __init__(self, folder: Path, login: Login, podman: PodmanHpc, python: OpenPython) -> None:
        super().__init__(folder)
        self.login, self.podman, self.python = login, podman, python

    def render(self, name: str, *settings: str) -> Path:
        words = [word for setting in settings for word in ("--set", setting)]
        done = self.login.hpctrain("render", "small.yaml", "--as", name, *words, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return self.folder / "jobs" / name

    def site(self, name: str, major: int | None = 4, **container: object) -> str:
        """`site=FILE` of a machine whose mpirun is Open MPI of this age."""
        launcher = {**OPENMPI, "command": self.python.moved(find_mpirun(major))}
        page = {"name": name, "title": "a machine", "scheduler": "local", "launcher": launcher}
        page |= {"gpus_per_node": 4, "gpu_order": [3, 2, 1, 0]}
        page["container"] = {**ENGINE, "setup": self.podman.setup, **container}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(page))
        return f"site={name}.yaml"

    def train(self, name: str, *settings: str) -> tuple[Path, str]:
        """A training of two ranks with this Python that went to its end."""
        own = (f"launch.python={self.python.python}", "train.adversary=null", *settings)
        run = self.render(self.unique(name), "launch.comm=mpi", *own)
        code, said = self.begin(run)
        assert code == 0, said
        assert "2 ranks on 1 node, mpi, cpu" in said
        return run, said

    def begin(self, run: Path, seconds: float = 120) -> tuple[int, str]:
        """Start run.sh as the user; returns its exit code and all that was printed."""
        env = {"OMP_NUM_THREADS": "1"}
        done = self.login.user.run("bash", run / "run.sh", cwd=run, env=env, timeout=seconds)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def podman(login: Login, session_tmp: Path, base_folder: Path) -> Iterator[PodmanHpc]:
    """The command with a small image in its store."""
    found = PodmanHpc(login.user, session_tmp.parent)
    if found.run("infohpc").returncode:
        skip(f"no podman-hpc: {found.reason or found.run('infohpc').stderr}", "podman")
    with message_queues():
        try:
            found.take(base_folder)
            yield found
        finally:
            found.clean()


@pytest.fixture(scope="module")
def small(login: Login, podman: PodmanHpc, open_python: OpenPython, session_tmp: Path) -> UsersRun:
    folder = login.user.folder(session_tmp / "podman-runs")
    made = make_small(folder)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, *(login.user.home.stat().st_uid, login.user.home.stat().st_gid))
    return UsersRun(made.folder, login, podman, open_python)


@pytest.mark.parametrize("is_shared", [False, True])
def test_ranks__get_place_mask_and_variables(small: UsersRun, is_shared: bool) -> None:
    box = {"one_namespace": is_shared, "env": {"SITE_MARK": "x,y $z"}, "args": ["--bench"]}
    run = render_shown(small, "shown", small.site(f"shown-{is_shared}", **box), *GPUS)
    show = (run / "show.sh").read_text()
    (run / "show.sh").write_text(show.replace("echo ", 'echo "number $(id -u)"; echo ', 1))
    code, said = small.begin(run)
    assert code == 0, said
    found = shown(run)
    assert [one["place"] for one in found] == ["0 2 0", "1 2 1"]
    assert [one["launcher"] for one in found] == ["0", "1"]
    assert [one["mask"] for one in found] == ["3", "2"]
    assert {one["job"] for one in found} == {"a $b"}
    assert {one["site"] for one in found} == {"x,y $z"}
    assert {one["prefix"] for one in found} == {"none"}
    assert {one["folder"] for one in found} == {str(run)}
    assert {one["system"] for one in found} == {"bookworm"}
    assert {one["number"] for one in found} == {str(small.login.user.home.stat().st_uid)}
    assert len({one["namespace"] for one in found}) == (1 if is_shared else 2)
    assert small.podman.run("ps", "--all", "--quiet").stdout == ""


@pytest.mark.parametrize("is_shared", [False, True])
def test_exit_code__is_that_of_the_rank_that_failed(small: UsersRun, is_shared: bool) -> None:
    place = small.site(f"code-{is_shared}", one_namespace=is_shared)
    run = render_shown(small, "code", place, *GPUS)
    (run / "show.sh").write_text("exit $((HPCTRAIN_RANK * 9))\n")
    code, said = small.begin(run)
    assert code == 9, said
    assert small.podman.run("ps", "--all", "--quiet").stdout == ""


@pytest.fixture(scope="module")
def outside(small: UsersRun) -> dict[str, torch.Tensor]:
    """Parameters after the same training outside of any image."""
    libraries = ":".join(small.python.libraries)
    own = [f"launch.env.LD_LIBRARY_PATH={libraries}"] if libraries else []
    return newest(small.train("outside", small.site("outside", None), *own)[0])


@pytest.mark.parametrize(
    ("major", "is_shared"),
    [(4, False), (4, True), pytest.param(5, False, marks=requires(openmpi5=True))],
)
def test_training__learns_the_same_inside(
    small: UsersRun, outside: dict[str, torch.Tensor], major: int, is_shared: bool
) -> None:
    """With the image's Open MPI 4, or with this Python's 5, as in open-mpi/ompi 12146."""
    libraries = small.python.libraries
    env = {"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}
    if major == 4:
        own = [IMAGES_OWN["LD_LIBRARY_PATH"], *libraries[:1]]
        env = {**IMAGES_OWN, "LD_LIBRARY_PATH": ":".join(own)}
    binds = [str(folder) for folder in small.python.folders]
    box = {"env": env, "binds": binds, "one_namespace": is_shared}
    place = small.site(f"train-{major}-{is_shared}", major, **box)
    run, _ = small.train("inside", place, f"container.image=docker://{IMAGE}")
    inside = newest(run)
    assert inside.keys() == outside.keys()
    assert all(torch.equal(inside[name], outside[name]) for name in inside)


def test_ranks__that_are_root_inside_are_refused(small: UsersRun) -> None:
    """open-mpi/ompi 12146: what the check tells before submission is so."""
    place = small.site("root", 4, args=["--userns=host"])
    settings = ("launch.comm=mpi", f"container.image=docker://{IMAGE}")
    run = small.render(small.unique("root"), place, *settings)
    done = small.login.hpctrain("check", run, cwd=small.folder)
    (line,) = [line for line in done.stdout.splitlines() if "makes ranks root inside" in line]
    assert line.startswith("error: container.image: --userns=host in the site's container.args")
    words = "podman-hpc run --rm --network=host --ipc=host --pid=host --env 'OMPI_*' --env 'PMIX_*'"
    program = "import ctypes; ctypes.CDLL('libmpi.so.40', 256).MPI_Init(None, None); print('began')"
    # the first must come to its end under any load; the second never comes to one
    for user, begun, limit in (("keep-id", 2, 120), ("host", 0, 30)):
        inside = f'{words} --userns={user} {IMAGE} python3 -c "{program}"'
        start = f"timeout {limit} {small.python.moved(find_mpirun(4))} -n 2 --oversubscribe"
        done = small.podman.shell(f"{start} {inside}", timeout=limit + 30)
        assert done.stdout.count("began") == begun, done.stderr
    assert "UNREACHABLE" in done.stderr
    small.podman.run("rm", "--all", "--force", "--time=0")
