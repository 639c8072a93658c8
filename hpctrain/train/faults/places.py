"""Messages name a file by both of its paths: where this rank sees it, and where its owner put it.

Paths differ in a container, whose binds may show a folder at another place, and where data were
copied to the node.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from hpctrain.config.binds import Binds, bind_texts, parse, stage_folder
from hpctrain.config.job import Job
from hpctrain.config.load import read_site
from hpctrain.errors import HpctrainError

_PATH = re.compile(r"(?<![\w.])/[^\s:;,'\"()]+")  # rank 0/2 has none
_IMAGES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CH_RUNNING", "container")
"""Variables of processes in an image: apptainer's, singularity's, ch-run's, podman's."""


class Places:
    """What this rank knows of other names of its files.

    Args:
        binds: of the container that it is in; None: it is in none.
    """

    def __init__(self, binds: Binds | None = None) -> None:
        self._binds = binds
        self._copies: tuple[Path, Path] | None = None

    @classmethod
    def of(cls, job: Job, run_dir: Path, env: Mapping[str, str] = os.environ) -> Places:
        """Those of a rank of this run; engines tell their processes that they are in it."""
        if job.container is None or not any(name in env for name in _IMAGES):
            return cls()
        # APPTAINER_BIND would tell targets only, so that what a site binds by it stays unknown
        return cls(Binds(map(parse, [*_written(job, run_dir), str(run_dir)])))

    def data_root(self, root: Path, job: Job) -> Path:
        """Where this rank finds the data that lie at `root` on the host.

        The index has the real path, and the bind is at the path of the job file: that may be a
        link, and the real path then means nothing in the container.
        """
        if self._binds is None:
            return root
        place = self._binds.host_to_container(str(root))
        return Path(place if place and os.path.isdir(place) else job.data.root)

    def copied(self, here: Path, original: Path) -> None:
        """Files below `here` are copies of those below `original`."""
        self._copies = here, original

    def explained(self, text: str) -> str:
        """A message with what else its first path is called, where that is known."""
        for found in _PATH.finditer(text):
            more = self._other_name(found.group().rstrip("."))
            if more:
                return f"{text} [{more}]"
        return text

    def _other_name(self, path: str) -> str:
        if self._copies is not None:
            here, original = map(str, self._copies)
            if path.startswith(f"{here}/"):
                source = original + path[len(here) :]
                return f"{path} is this node's copy of {source}{self._on_host(source)}"
        return f"{path}{on_host}" if (on_host := self._on_host(path)) else ""

    def _on_host(self, path: str) -> str:
        if self._binds is None:
            return ""
        host = self._binds.container_to_host(path)
        if host is None:
            return " is the image's own, unless a bind that the job does not name leads there"
        return " is the same on the host" if host == path else f" is {host} on the host"


def _written(job: Job, run_dir: Path) -> list[str]:
    """The binds of the run script."""
    try:
        site, _ = read_site(str(run_dir / "site.yaml"))
    except HpctrainError:
        return bind_texts(job, ())
    return bind_texts(job, site.container.binds, stage_folder(job, site.scratch))
