"""The whole chain of a product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain import run_state
from hpctrain.errors import ProvenanceError
from hpctrain.provenance import Found, Stamp, read
from hpctrain.provenance.run import file_digest, read_manifest
from hpctrain.trace.container import container_link
from hpctrain.trace.link import Link as Link
from hpctrain.trace.link import compared
from hpctrain.trace.run_dir import (
    checkpoint_links,
    code_link,
    find_run,
    recorded_stamp,
    run_links,
)

_STAMPED = ("checkpoints", "eval", "tensorboard")
"""Folders of a run whose files carry stamps."""


@dataclass(frozen=True)
class Chain:
    """What a product was made from.

    Attributes:
        stamp: what the product says of itself, or of a run directory its manifest.
        links: from the product to its inputs.
        problem: why not everything could be compared; empty if it could.
    """

    stamp: Stamp
    links: tuple[Link, ...]
    problem: str = ""

    @property
    def is_unchanged(self) -> bool:
        """Whether everything was compared, and nothing had changed."""
        bad = ("changed", "missing", "unknown")
        return not self.problem and not any(link.verdict in bad for link in self.links)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "is_unchanged": self.is_unchanged,
            "problem": self.problem,
            "stamp": self.stamp.as_dict(),
            "links": [link.as_dict() for link in self.links],
        }


def trace(
    path: Path,
    run: Path | None = None,
    has_content: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Chain:
    """Go from a product, or a run directory, back to its inputs.

    Args:
        path: a file of any format that carries stamps, any other file of a run directory, or a
            run directory.
        run: where the run directory lies now, if the stamp cannot know.
        has_content: read all input files, checkpoints and images, not only their sizes.
        tell: is told before much is read.

    Raises:
        ProvenanceError: the file says nothing of where it is from.
    """
    if not path.exists():
        raise ProvenanceError(f"{path}: no such file or directory")
    if path.is_dir() and run_state.is_run(path):
        if run is not None:
            raise ProvenanceError(
                f"--run: {path} is a run directory itself; give a file of a run, or leave it out"
            )
        stamp = recorded_stamp(path)
        links = [_run_link(stamp, path), *run_links(path, stamp, has_content, tell)]
        return Chain(stamp, tuple(links))
    try:
        found = read(path)
    except ProvenanceError:
        around = _around(path) if run is None else None
        if around is None:
            raise
        return _plain_file(path, around, has_content, tell)
    stamp = found.stamp
    links = [_product_link(path, found)]
    place = find_run(stamp, path, run)
    if place.path is None:
        links += _without_run(stamp)
        return Chain(stamp, tuple(links), f"could not be compared: {place.problem}")
    links += checkpoint_links(place.path, stamp, has_content)
    links.append(_run_link(stamp, place.path))
    links += run_links(place.path, stamp, has_content, tell)
    return Chain(stamp, tuple(links), place.problem)


def _product_link(path: Path, found: Found) -> Link:
    stamp = found.stamp
    where = "" if found.where == "inside" else f", said by {path.name}.provenance.json or its like"
    at = "" if stamp.epoch is None else f"after epoch {stamp.epoch}, step {stamp.global_step}"
    if found.is_intact is None:
        return Link(stamp.product, str(path), "", f"{at}{where}".lstrip(", "))
    if found.is_intact:
        return Link(
            stamp.product, str(path), "same", f"{at}{where}".lstrip(", "), stamp.content_digest
        )
    text = "altered since it was written: its content does not have the digest of its stamp"
    return Link(stamp.product, str(path), "changed", text, stamp.content_digest)


def _run_link(stamp: Stamp, folder: Path) -> Link:
    text = f"run id {stamp.run_id}" if stamp.run_id else "has not started"
    if stamp.run_dir and Path(stamp.run_dir) != folder.resolve():
        text += f"; was {stamp.run_dir}"
    return Link("run", str(folder), "", text)


def _without_run(stamp: Stamp) -> Iterator[Link]:
    """What a stamp says when there is nothing to compare it with."""
    if stamp.checkpoint:
        kind = "went on from" if stamp.product == "checkpoint" else "checkpoint"
        yield Link(kind, stamp.checkpoint, "unknown", "", stamp.checkpoint_digest or "")
    was = f"{stamp.host}:{stamp.run_dir}" if stamp.host else stamp.run_dir
    yield Link("run", was, "unknown", f"run id {stamp.run_id}")
    yield Link("config", "config.yaml", "unknown", "", stamp.config_digest)
    yield code_link(stamp, None, False)
    yield container_link(stamp, {}, False)
    yield Link("launch", stamp.launch_id or "?", "unknown")
    yield Link("index", "index.csv", "unknown", "", stamp.index_digest)


def _around(path: Path) -> Path | None:
    """The run directory that a file lies in."""
    return next((folder for folder in path.resolve().parents if run_state.is_run(folder)), None)


def _plain_file(path: Path, run_dir: Path, has_content: bool, tell: Callable[[str], None]) -> Chain:
    """A file without a stamp in a run directory: rendered, or a log."""
    name = path.resolve().relative_to(run_dir).as_posix()
    known = read_manifest(run_dir).get("files")
    recorded = known.get(name, "") if isinstance(known, dict) else ""
    stamp = recorded_stamp(run_dir)
    if recorded:
        first = compared("rendered", str(path), recorded, file_digest(path))
    elif name.partition("/")[0] in _STAMPED:
        text = "carries no stamp, as products of a run do; it cannot be compared"
        first = Link("file", str(path), "unknown", text)
    else:
        text = "carries no stamp, and lies in the run directory below"
        first = Link("file", str(path), "", text)
    links = [first, _run_link(stamp, run_dir), *run_links(run_dir, stamp, has_content, tell)]
    return Chain(stamp, tuple(links))
