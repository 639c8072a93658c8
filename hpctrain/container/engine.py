"""The program that builds images: is it here, and may this user build with it?"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ImageError

ENGINES = ("apptainer", "singularity")
_ALL_CAPABILITIES = "/proc/sys/kernel/cap_last_cap"


@dataclass(frozen=True)
class Engine:
    """An engine in PATH.

    Attributes:
        name: apptainer or singularity.
        has_squashfs_options: whether it takes words for the program that packs an image.
    """

    name: str
    has_squashfs_options: bool

    @property
    def prefix(self) -> str:
        """What its variables begin with."""
        return self.name.upper()

    def build(self, image: Path, definition: Path, binds: list[str], is_last: bool) -> list[str]:
        """Words that build an image without running its test."""
        words = [self.name, "build", "--force", "--notest"]
        if self.name == "singularity" and os.geteuid():
            words.append("--fakeroot")  # Apptainer takes it by itself
        if self.has_squashfs_options:
            # layers are read here alone, and by unsquashfs; images by any kernel
            packer = "gzip" if is_last else "zstd"
            words += ["--mksquashfs-args", f"-comp {packer} -Xcompression-level 1"]
        for bind in binds:
            words += ["--bind", bind]
        return [*words, str(image), str(definition)]


def find_engine(name: str | None = None) -> Engine:
    """The engine of this name, or the first that is in PATH.

    Raises:
        ImageError: there is none.
    """
    names = (name,) if name else ENGINES
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        raise ImageError(
            f"no {' and no '.join(names)} in PATH; load its module (often `module load apptainer`) "
            "or install it, also without root: https://apptainer.org/docs/admin/latest/installation.html"
        )
    words = [found, "build", "--help"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    return Engine(found, "--mksquashfs-args" in said.stdout + said.stderr)


def refuse_unable(engine: Engine) -> None:
    """Say what keeps this user from building, before time is spent.

    Raises:
        ImageError: the build would fail.
    """
    problem = next(root_problems() if os.geteuid() == 0 else user_problems(engine), None)
    if problem:
        raise ImageError(problem)


def root_problems(status: str | None = None, last: int | None = None) -> Iterator[str]:
    """What keeps root from it: a machine that withholds some rights."""
    text = Path("/proc/self/status").read_text() if status is None else status
    last = int(Path(_ALL_CAPABILITIES).read_text()) if last is None else last
    held = next((int(x.split()[1], 16) for x in text.splitlines() if x.startswith("CapPrm:")), 0)
    lacking = [str(bit) for bit in range(last + 1) if not held >> bit & 1]
    if lacking:
        yield (
            f"root has not all rights on this machine (capability {', '.join(lacking)} is "
            "withheld, as in many containers), and the engine wants all; build as an ordinary user"
        )


def user_problems(
    engine: Engine, *, can_map: bool | None = None, has_range: bool | None = None
) -> Iterator[str]:
    """What keeps an ordinary user from it: no namespaces, or nobody to play root with."""
    can_map = can_map_root() if can_map is None else can_map
    if not can_map and not _is_setuid():
        yield (
            f"this machine lets no user make namespaces, and {engine.name} is not installed "
            "setuid; build on another machine, such as your own, and copy the image"
        )
    user = getpass.getuser()
    has_range = _has_range(user) if has_range is None else has_range
    if not has_range and not shutil.which("fakeroot"):
        yield (
            f"{user} has no range in /etc/subuid and there is no program fakeroot, so packages "
            "cannot be installed in one; ask the administrators for either (usermod --add-subuids "
            f"100000-165535 --add-subgids 100000-165535 {user}), or build on another machine"
        )


def can_map_root() -> bool:
    """Whether a process may be root in a namespace of its own."""
    if not shutil.which("unshare"):
        return True  # not known
    words = ["unshare", "--user", "--map-root-user", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _is_setuid() -> bool:
    places = (
        "/usr/libexec/apptainer",
        "/usr/lib/x86_64-linux-gnu/apptainer",
        "/usr/libexec/singularity",
    )
    return any((Path(place) / "bin" / "starter-suid").is_file() for place in places)


def _has_range(user: str) -> bool:
    try:
        lines = Path("/etc/subuid").read_text().splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in (user, str(os.geteuid())) for line in lines)
