"""Images for all tests here, built by an ordinary user and kept in that user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.integration.container.fuse import end_forgotten
from tests.integration.container.login import Login, torch_options
from tests.integration.container.open_python import OpenPython
from tests.integration.container.two_nodes import Desk
from tests.integration.container.user import User, build, find_user, lend, unpack
from tests.integration.slurm.cluster import Cluster, start_cluster
from tests.requires import MPICH4, mpich4_version
from tests.runs import newest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def user() -> User:
    """Who builds and starts images."""
    found = find_user()
    assert found, "no ordinary user; run tests/integration/container/install.sh"
    return found


@pytest.fixture(scope="session")
def base_image(user: User) -> Path:
    """A small image: Python and Open MPI 4.1 of Debian 12, with hpctrain's labels."""
    return build(user, HERE / "base.def")


@pytest.fixture(scope="session")
def base_folder(user: User, base_image: Path) -> Path:
    """The same as a folder, for engines that start no SIF file."""
    return unpack(user, base_image)


@pytest.fixture(scope="session")
def mpich_image(user: User, base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small image with MPICH 4.1 beside Open MPI; `libmpi.so.12` leads to it."""
    version = mpich4_version()
    source = lend(user, MPICH4, f"mpich-{version}")
    text = (HERE / "mpich.def").read_text()
    for name, value in {"BASE": base_image, "MPICH": source, "VERSION": version}.items():
        text = text.replace(f"@{name}@", str(value))
    definition = tmp_path_factory.mktemp("mpich") / "mpich.def"
    definition.write_text(text)
    return build(user, definition)


@pytest.fixture(scope="session")
def mpich_folder(user: User, mpich_image: Path) -> Path:
    """The same as a folder: a file's FUSE process may outlive its rank, and Hydra waits for it."""
    return unpack(user, mpich_image)


@pytest.fixture(scope="session")
def session_tmp(user: User) -> Iterator[Path]:
    """An empty folder of the user's for all tests."""
    with tempfile.TemporaryDirectory(prefix="hpctrain-images-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "u").mkdir()
        shutil.chown(Path(folder) / "u", user.name)
        yield Path(folder) / "u"
        end_forgotten(Path(folder))


@pytest.fixture(scope="session", autouse=True)
def no_forgotten_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Images that a killed launcher left open are closed, or a deleted one stays on the disk."""
    yield
    found = find_user()
    end_forgotten(tmp_path_factory.getbasetemp(), *([found.cache] if found else []))


@pytest.fixture(scope="session")
def login(user: User, session_tmp: Path) -> Login:
    """hpctrain as that user has it."""
    return Login(user, session_tmp.parent)


@pytest.fixture(scope="session")
def full_image(login: Login, session_tmp: Path) -> Path:
    """The image that a mantle job on CPUs wants, from the rendered definition.

    What takes minutes is done once for each change of a layer: the user's cache keeps the layers.
    """
    image = session_tmp / "hpctrain.sif"
    words = ("container", "build", "--base", "debian12", "--host-pip", *torch_options())
    done = login.hpctrain(*words, "--output", image, cwd=session_tmp, timeout=3600)
    assert done.returncode == 0, done.stderr
    (session_tmp / "build.txt").write_text(done.stderr)
    return image


@pytest.fixture(scope="session")
def open_python(session_tmp: Path) -> Iterator[OpenPython]:
    """This Python, with torch and Horovod, where the user can read it."""
    folder = session_tmp.parent / "python"
    yield OpenPython(folder)
    subprocess.run(["rm", "-rf", folder], check=True)  # 100,000 files, which Python removes slowly


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """TEST_CLUSTER=multi or netns chooses the mode, see cluster.sh."""
    with start_cluster(os.environ.get("TEST_CLUSTER", "auto")) as started:
        yield started


@pytest.fixture(scope="package")
def desk(login: Login, cluster: Cluster, open_python: OpenPython, session_tmp: Path) -> Desk:
    """The user's folder with the shipped job and its data, before that cluster."""
    return Desk(login, cluster, open_python, session_tmp / "mantle")


@pytest.fixture(scope="package")
def outside(desk: Desk) -> dict[str, torch.Tensor]:
    """Parameters after a training with this machine's own Python, MPI and Horovod."""
    return newest(desk.outside())


@pytest.fixture
def user_tmp(user: User) -> Iterator[Path]:
    """An empty folder of the user's; pytest's own are closed to others than root."""
    with tempfile.TemporaryDirectory(prefix="hpctrain-image-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        own = Path(folder) / "u"
        own.mkdir()
        shutil.chown(own, user.name)
        yield own
