"""hpctrain as an ordinary user has it: its wheel in an environment that the user can read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hpctrain.container.host_pip import config_files, read_settings
from tests.integration.container.user import User
from tests.jobs import REPO

_BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


class Login:
    """The command `hpctrain` of an ordinary user."""

    def __init__(self, user: User, folder: Path) -> None:
        self.user = user
        self.python = folder / "venv" / "bin" / "python"
        venv = [system_python(), "-m", "venv", "--without-pip", folder / "venv"]
        subprocess.run(venv, check=True)
        subprocess.run([sys.executable, "-c", _BUILD, str(folder)], cwd=REPO, check=True)
        (wheel,) = folder.glob("hpctrain-*.whl")
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True)

    def hpctrain(
        self, *words: str | Path, cwd: Path, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; pip's variables come along, as in a shell of the same machine."""
        env = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        command = [self.python, "-m", "hpctrain", *words]
        return self.user.run(*command, cwd=cwd, env=env, timeout=timeout)


def system_python() -> str:
    """An interpreter that others than root can read as well."""
    own = Path(sys.base_prefix)
    is_open = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (own, *own.parents))
    return sys.executable if is_open or os.geteuid() else "/usr/bin/python3"


def torch_options() -> list[str]:
    """Where torch comes from: this machine's own wheels, if it has some, else the usual index."""
    links = read_settings(config_files(), os.environ).get("find-links", "").split()
    has_torch = any(list(Path(link).glob("torch-*.whl")) for link in links if link[0] == "/")
    return ["--torch-index", "pip"] if has_torch else []
