"""Start ranks as a run would, and read what each says of itself."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpctrain
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.doctor.watched import Outcome, watch
from hpctrain.errors import RenderError
from hpctrain.render.draft import draft_inputs
from hpctrain.render.probe import probe_files
from hpctrain.render.texts import with_absolute_paths

SIZES = [1 << power for power in range(10, 27, 2)]
"""Bytes of an allreduce: 1 KiB to 64 MiB."""
LIMIT_S = 120.0
"""How long ranks may take in all, where nobody says otherwise."""
MEASURE_S = 6.0
"""How long they may measure."""


@dataclass(frozen=True)
class Ranks:
    """What came of a start.

    Attributes:
        outcome: how the launcher ended.
        notes: a page of each process that began.
        limit_s: how long it had.
    """

    outcome: Outcome
    notes: list[dict[str, Any]]
    limit_s: float


class Folder:
    """A run directory of the doctor's own, which goes away again."""

    def __init__(self, path: Path, job: Job, site: Site, python: str, limit_s: float) -> None:
        self.path, self._comm = path, job.launch.comm
        self.limit_s = limit_s
        job = with_absolute_paths(job, Path.cwd())
        inputs = draft_inputs(job, path, Path.cwd(), python)
        files = probe_files(job, site, inputs, sys.executable, int(self.limit_s))
        for name, text in files.items():
            (path / name).write_text(text)
            (path / name).chmod(0o755)
        for name in ("logs", "ranks", "code"):
            (path / name).mkdir()
        package = Path(hpctrain.__file__).parent
        if job.container:  # which shows this folder, and perhaps not the package's
            shutil.copytree(
                package, path / "code/hpctrain", ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            (path / "code/hpctrain").symlink_to(package)

    def launch(self) -> Ranks:
        """Start the ranks, for `limit_s` at most."""
        # a little before the launcher's time is up, the ranks end themselves and say where they are
        asked = {"comm": self._comm, "sizes": SIZES, "budget_s": min(MEASURE_S, self.limit_s / 10)}
        page = json.dumps({**asked, "limit_s": self.limit_s * 0.8})
        (self.path / "probe.json").write_text(page)
        outcome = watch(["bash", str(self.path / "launch.sh")], self.limit_s, cwd=self.path)
        return Ranks(outcome, list(self._notes()), self.limit_s)

    def look(self, script: str, program: str, limit_s: float) -> Outcome:
        """Run a program by look.sh, in the job's Python and container, or host.sh, outside."""
        words = ["bash", str(self.path / script)]
        return watch(words, limit_s, cwd=self.path, stdin=program)

    def _notes(self) -> Iterator[dict[str, Any]]:
        for path in sorted((self.path / "ranks").glob("*.json")):
            with suppress(OSError, ValueError):
                yield json.loads(path.read_text())


@contextmanager
def folder(
    parent: Path, job: Job, site: Site, python: str, limit_s: float = LIMIT_S
) -> Iterator[Folder]:
    """A folder beside the run directories, as all nodes must see it.

    Raises:
        RenderError: it cannot be written, or a script cannot be.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix=".doctor-", dir=parent))
    except OSError as e:
        raise RenderError(
            f"{parent}: cannot be written ({e.strerror}), and ranks need a folder"
        ) from e
    try:
        yield Folder(path.parent.resolve() / path.name, job, site, python, limit_s)
    except OSError as e:
        raise RenderError(f"{path}: cannot be written: {e.strerror}") from e
    finally:
        shutil.rmtree(path, ignore_errors=True)
