"""podman-hpc as a site has it, for an ordinary user: storage, a module of the site, an image."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.integration.container.login import system_python
from tests.integration.container.user import User

RELEASE = "podman-hpc==1.2.2"
IMAGE = "hpctrain-base:1"
MODULE = """name: bench
cli_arg: bench
env: ENABLE_BENCH
bind: [/etc/hostname:/of-the-site/hostname]
"""


class PodmanHpc:
    """The command, with its images in a folder of their own.

    Attributes:
        setup: shell lines by which a site makes it known to a job.
    """

    def __init__(self, user: User, folder: Path) -> None:
        self.user, own = user, folder / "podman-hpc"
        venv = [system_python(), "-m", "venv", "--without-pip", own]
        subprocess.run(venv, check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(own / "bin" / "python"), "install"]
        words = [*pip, "--quiet", "--disable-pip-version-check", RELEASE]
        self.reason = subprocess.run(words, capture_output=True, text=True, check=False).stderr
        modules = own / "etc" / "podman_hpc" / "modules.d"  # its own are there, among them gpu
        modules.mkdir(parents=True, exist_ok=True)
        (modules / "bench.yaml").write_text(MODULE)
        hooks = [own / "bin" / "python", "-m", "podman_hpc.configure_hooks"]
        subprocess.run(hooks, check=False, capture_output=True)
        store = user.folder(folder / "u" / "podman")
        self.variables = {
            "PODMANHPC_MODULES_DIR": modules,
            "PODMANHPC_MOUNT_PROGRAM": own / "bin" / "fuse-overlayfs-wrap",
            "PODMANHPC_GRAPH_ROOT": store / "graph",
            "PODMANHPC_RUN_ROOT": store / "run",
            "PODMANHPC_CONFIG_HOME": store / "config",
            "SQUASH_DIR": store / "squash",
            "STORAGE_DRIVER": "overlay",  # without a session of systemd podman takes vfs
        }
        path = f'PATH="{own}/bin:$PATH"'
        self.setup = [f"export {path}"]
        self.setup += [f"export {name}={value}" for name, value in self.variables.items()]

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """`podman-hpc WORDS` of the user."""
        return self.shell("podman-hpc " + " ".join(map(str, words)))

    def shell(self, line: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """A line of shell in which the command is known."""
        return self.user.run("sh", "-c", "; ".join([*self.setup, line]), timeout=timeout)

    def take(self, folder: Path) -> None:
        """Make the image of a folder."""
        done = self.shell(f"tar -C {folder} --exclude=./dev -c . | podman-hpc import - {IMAGE}")
        assert done.returncode == 0, done.stderr

    def clean(self) -> None:
        """Leave no container, no process, and no file that belongs to another number."""
        self.run("rm", "--all", "--force", "--time=0")
        self.run("unshare", "rm", "-rf", self.variables["PODMANHPC_GRAPH_ROOT"])
        self.run("system", "migrate")  # ends the process that holds the user's namespace


@contextlib.contextmanager
def message_queues() -> Iterator[None]:
    """A user's podman shows them with --ipc=host, and not every machine has the place."""
    place = Path("/dev/mqueue")
    is_made = not place.exists() and os.geteuid() == 0
    if is_made:
        place.mkdir()
    yield
    if is_made:
        place.rmdir()
