"""The code that travels with a run: the package as it is, and the user's own folders."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpctrain.config.paths import package_dir
from hpctrain.errors import RenderError
from hpctrain.render.inputs import CodeTree

_LEFT_OUT = {"__pycache__", "_data"}
_MOST_BYTES = 50 * 1024 * 1024


def collect(folders: Sequence[str], cwd: Path) -> CodeTree:
    """Read the package and the folders under `code:`.

    A folder that is a package (has `__init__.py`) keeps its name, of others the content is taken.

    Raises:
        RenderError: a folder is missing, holds what is no code, or two give the same file.
    """
    package = package_dir()
    files = {f"hpctrain/{name}": data for name, data in _tree(package)}
    for folder in folders:
        root = cwd / folder
        if not root.is_dir():
            raise RenderError(f"code: {folder}: no such folder")
        lead = f"user/{root.resolve().name}/" if (root / "__init__.py").is_file() else "user/"
        for name, data in _tree(root):
            if lead + name in files:
                raise RenderError(f"code: {folder}: {name} is in another folder too; rename one")
            files[lead + name] = data
    revision, diff = _git(package)
    return CodeTree(files, revision, diff)


def revision_of() -> str | None:
    """Git revision of the package's checkout; None without one."""
    return _git(package_dir())[0]


def _tree(root: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if any(part in _LEFT_OUT or part.startswith(".") for part in name.parts):
            continue
        if not path.is_file() or path.suffix in (".pyc", ".so"):
            continue
        total += path.stat().st_size
        if total > _MOST_BYTES:
            raise RenderError(
                f"code: {root}: holds more than {_MOST_BYTES >> 20} MiB; keep data elsewhere"
            )
        yield name.as_posix(), path.read_bytes()


def _git(package: Path) -> tuple[str | None, bytes]:
    """Revision of the package's checkout and the difference to it."""

    def git(*words: str) -> bytes | None:
        command = ["git", "-C", str(package), *words]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    # An installed package may lie in a venv inside somebody's own repository: it must be tracked.
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None, b""
    revision = git("rev-parse", "HEAD")
    if revision is None:
        return None, b""
    new = git("ls-files", "--others", "--exclude-standard", "--", ".") or b""
    listing = b"".join(b"new file: " + line + b"\n" for line in new.splitlines())
    return revision.decode().strip(), (git("diff", "HEAD", "--", ".") or b"") + listing
