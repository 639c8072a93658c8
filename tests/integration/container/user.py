"""The ordinary user who builds and starts images: root's builds need more than CI has."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "HPCTRAIN_TEST_USER"
"""Variable that names the user; install.sh makes one."""
FAST = ("--mksquashfs-args", "-comp zstd -Xcompression-level 1")


@dataclass(frozen=True)
class User:
    """Somebody without rights."""

    name: str
    home: Path

    @property
    def cache(self) -> Path:
        """Where images for tests are kept from one session to the next."""
        return self.home / ".cache" / "hpctrain-tests"

    def command(self, *words: str | Path) -> list[str]:
        """The words by which this user starts a command."""
        change = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups"]
        return [*(change if os.geteuid() == 0 else []), *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        """What a login gives."""
        path = os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
        own = {"HOME": str(self.home), "USER": self.name, "LOGNAME": self.name}
        return {**own, "PATH": path, "LANG": "C.UTF-8"}

    def run(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, with a login's environment and what is added."""
        return subprocess.run(
            self.command(*words),
            cwd=cwd or self.home,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def folder(self, path: Path) -> Path:
        """Make a folder of this user's."""
        done = self.run("mkdir", "-p", path, cwd=Path("/"))
        assert done.returncode == 0, done.stderr
        return path


def find_user() -> User | None:
    """This user, or where that is root the one that install.sh made."""
    try:
        if os.geteuid():
            entry = pwd.getpwuid(os.geteuid())
        else:
            entry = pwd.getpwnam(os.environ.get(NAME, "hpcuser"))
    except KeyError:
        return None
    return User(entry.pw_name, Path(entry.pw_dir))


def can_build() -> bool:
    """Whether there is an engine and an ordinary user for it."""
    programs = ("apptainer", "debootstrap", "setpriv")
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    return bool(find_user()) and all(shutil.which(program, path=path) for program in programs)


def build(user: User, definition: Path, *options: str, timeout: float = 900) -> Path:
    """The image of a definition file, built by the plain engine once and then kept.

    Args:
        user: who builds and keeps it.
        definition: the file; its digest, with the options', names the image.
        *options: more words for `apptainer build`.
        timeout: seconds that it may take.
    """
    parts = [definition.read_bytes(), *map(os.fsencode, options)]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    image = user.folder(user.cache) / f"{definition.stem}-{digest}.sif"
    with locked(image.with_suffix(".lock")):
        if not image.exists():
            text = user.cache / f"{definition.stem}-{digest}.def"
            shutil.copy(definition, text)
            text.chmod(0o644)
            part = image.with_suffix(".part.sif")
            words = ("apptainer", "build", "--force", *FAST, *options, part, text)
            done = user.run(*words, timeout=timeout)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            part.rename(image)
    return image


def unpack(user: User, image: Path) -> Path:
    """An image file as a folder beside it, made once."""
    folder = image.with_suffix("")
    with locked(image.with_suffix(".lock")):
        if not folder.exists():
            part = image.with_suffix(".part")
            done = user.run("apptainer", "build", "--force", "--sandbox", part, image)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            part.rename(folder)
    return folder


def lend(user: User, source: Path, name: str) -> Path:
    """A folder that this user may not read, copied once to the cache under this name."""
    folder = user.folder(user.cache) / name
    with locked(user.cache / f"{name}.lock"):
        if not folder.exists():
            part = user.cache / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source, part, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", str(part)], check=True)
            part.rename(folder)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One session at a time builds an image; the others wait and find it."""
    with path.open("a") as file:
        path.chmod(0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
