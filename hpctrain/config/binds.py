"""Which folder of the host a container shows at which place: the one answer for all of hpctrain.

As apptainer does it: SOURCE[:TARGET[:OPTIONS]], a target below another one hides what is beneath,
and of two with the same target the first holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpctrain.config.job import Job

RealPath = Callable[[str], str]


@dataclass(frozen=True)
class Bind:
    """One folder or file of the host in the container."""

    source: str
    """Path on the host."""
    target: str
    """Path in the container."""
    options: tuple[str, ...] = ()
    text: str = ""
    """As it was written."""

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written there."""
        return "ro" in self.options


def parse(text: str) -> Bind:
    """Read SOURCE[:TARGET[:OPTIONS]]; trailing and doubled slashes mean nothing."""
    source, _, rest = text.partition(":")
    target, _, options = rest.partition(":")
    own = tuple(option for option in options.split(",") if option)
    return Bind(_normal(source), _normal(target or source), own, text)


def with_source(text: str, change: Callable[[str], str]) -> str:
    """The same bind with another source."""
    source, colon, rest = text.partition(":")
    return f"{change(source)}{colon}{rest}"


def bind_texts(job: Job, site_binds: Iterable[str], scratch: str | None = None) -> list[str]:
    """What is bound for a job beside its run directory, in the order of the command.

    Args:
        job: with absolute paths and a container.
        site_binds: folders that MPI needs on this machine.
        scratch: the node's disk, if data are staged there.
    """
    own = job.container.binds if job.container else []
    written = [scratch, getattr(job.data, "cache_dir", None)]
    staged = [folder for folder in written if folder and "$" not in folder]
    return list(dict.fromkeys([*site_binds, *own, job.data.root, *staged]))


def stage_folder(job: Job, scratch: str | None) -> str | None:
    """Where data are copied to on a node, with its variables; None: they are not."""
    return (job.data.stage_dir or scratch) if job.data.stage == "node_local" else None


class Binds:
    """Translates paths between host and container.

    Args:
        binds: in the order in which they are given to apptainer.
        real: follows links on the host; the default follows none.
    """

    def __init__(self, binds: Iterable[Bind], real: RealPath = str) -> None:
        first: dict[str, Bind] = {}
        for bind in binds:
            first.setdefault(bind.target, bind)
        self.binds = tuple(first.values())
        self._real = real

    def owner(self, path: str) -> Bind | None:
        """The bind that shows a path of the container; None: it is the image's own."""
        path = _normal(path)
        found = [bind for bind in self.binds if _is_in(path, bind.target)]
        return max(found, key=lambda bind: len(bind.target), default=None)

    def container_to_host(self, path: str) -> str | None:
        """Where a path of the container lies on the host; None: it is the image's own."""
        bind = self.owner(path)
        return _moved(_normal(path), bind.target, bind.source) if bind else None

    def host_to_container(self, path: str) -> str | None:
        """Where the container shows a path of the host; None: nowhere.

        The longest source wins, and a place that another bind hides does not count.
        """
        path = _normal(path)
        for spelling, real in ((path, str), (self._real(path), self._real)):
            sources = [(real(bind.source), bind) for bind in self.binds]
            found = [(len(source), source, bind) for source, bind in sources]
            for _, source, bind in sorted(found, key=lambda item: -item[0]):
                if _is_in(spelling, source):
                    place = _moved(spelling, source, bind.target)
                    if self.owner(place) is bind:
                        return place
        return None


def _normal(path: str) -> str:
    """Without doubled and trailing slashes, and without `..`, as mounts see it."""
    return os.path.normpath(path) if path.startswith("/") else path


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _moved(path: str, before: str, after: str) -> str:
    rest = path[len(before) :].lstrip("/")
    return str(PurePosixPath(after) / rest) if rest else after
