"""The run directory of a product, where it lies now, and its parts compared with the stamp."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpctrain import run_state
from hpctrain.errors import ProvenanceError
from hpctrain.provenance import Stamp, read, run_id, stamp_run
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.files import read_stamp
from hpctrain.provenance.run import read_manifest
from hpctrain.render.existing import Difference, differences
from hpctrain.trace.container import container_facts, container_link
from hpctrain.trace.data import input_links
from hpctrain.trace.launches import launch_links
from hpctrain.trace.link import Link, compared

_MOST = 10


@dataclass(frozen=True)
class Place:
    """Where the run of a stamp lies now.

    Attributes:
        path: its directory, or None.
        problem: why there is none.
    """

    path: Path | None
    problem: str = ""


def find_run(stamp: Stamp, file: Path, named: Path | None) -> Place:
    """The run directory that a stamp is of.

    First the one that was named, then around the file itself, then where it was.

    Raises:
        ProvenanceError: the one that was named is no run directory.
    """
    if named is not None:
        if not run_state.is_run(named):
            raise ProvenanceError(f"--run: {named}: is no run directory")
        return Place(named, _mismatch(named, stamp))
    problem = ""
    for folder in (*file.resolve().parents, *([Path(stamp.run_dir)] if stamp.run_dir else [])):
        if not run_state.is_run(folder):
            continue
        found = _mismatch(folder, stamp)
        if not found:
            return Place(folder)
        problem = problem or found
    if problem:
        return Place(None, problem)
    where = f"{stamp.run_dir or 'the run directory'} is not here"
    if stamp.host:
        where += f" (it was on {stamp.host})"
    return Place(None, f"{where}; say where the run lies now with --run DIR")


def _mismatch(folder: Path, stamp: Stamp) -> str:
    found = run_id(read_manifest(folder))
    if found == stamp.run_id or not stamp.run_id:
        return ""
    return f"{folder} is another run ({found[:16] or 'not started'}); name the right one with --run"


def recorded_stamp(run_dir: Path) -> Stamp:
    """What a run directory says of itself: digests as they were rendered, not as they are."""
    page = read_manifest(run_dir)
    files, inputs = page.get("files"), page.get("inputs")
    files = files if isinstance(files, dict) else {}
    inputs = inputs if isinstance(inputs, dict) else {}
    return replace(
        stamp_run(run_dir, "run"),
        config_digest=str(files.get("config.yaml") or ""),
        index_digest=str(files.get("index.csv") or ""),
        code_digest=str(inputs.get("code_digest") or ""),
    )


def run_links(
    run_dir: Path, stamp: Stamp, has_content: bool, tell: Callable[[str], None]
) -> Iterator[Link]:
    """All that the run is made of, compared with a stamp."""
    now, page = stamp_run(run_dir, "run"), read_manifest(run_dir)
    yield compared("config", "config.yaml", stamp.config_digest, now.config_digest)
    yield code_link(stamp, now.code_digest, (run_dir / "code" / "dirty.diff").is_file())
    yield _rendered_link(run_dir, page)
    yield container_link(stamp, container_facts(page, stamp.launch_id), has_content)
    yield from launch_links(page)
    yield compared("index", "index.csv", stamp.index_digest, now.index_digest)
    yield from input_links(run_dir, has_content, tell)


def _rendered_link(run_dir: Path, page: Mapping[str, Any]) -> Link:
    """All other rendered files, such as scripts; those above have digests of their own."""
    files = page.get("files")
    if not isinstance(files, dict):
        return Link("rendered", "manifest.json", "unknown", "lists no files, or cannot be read")
    found = [d for d in differences(run_dir) if _is_rendered_only(d)]
    details = tuple(f"{d.what}: {d.path}" for d in found[:_MOST])
    if len(found) > _MOST:
        details += (f"and {len(found) - _MOST} more",)
    text = f"{len(files)} files" + (f", {len(found)} not as rendered" if found else "")
    return Link("rendered", "manifest.json", "changed" if found else "same", text, "", details)


def _is_rendered_only(difference: Difference) -> bool:
    path = difference.path
    is_code = path.startswith("code/")
    has_link = path in ("config.yaml", "index.csv") or path.startswith(
        ("code/hpctrain/", "code/user/")
    )
    return not has_link and (is_code or difference.what != "added")


def checkpoint_links(run_dir: Path, stamp: Stamp, has_content: bool) -> Iterator[Link]:
    """The checkpoint that a product was made from, and the one that this went on from."""
    if stamp.checkpoint is None:
        if stamp.product in ("figure", "evaluation") and stamp.global_step is not None:
            yield Link(
                "checkpoint", "none", "", f"no checkpoint was saved at step {stamp.global_step}"
            )
        return
    kind = "went on from" if stamp.product == "checkpoint" else "checkpoint"
    path, recorded = run_dir / "checkpoints" / stamp.checkpoint, stamp.checkpoint_digest or ""
    if not path.is_file():
        text = "gone; a run keeps the newest ones (train.checkpoints)"
        yield Link(kind, stamp.checkpoint, "missing", text, recorded)
        return
    try:
        own = read(path).stamp if has_content else read_stamp(path)
        is_intact = not has_content or bool(read(path).is_intact)
        found = own.content_digest if is_intact else digest_of(path, own.content_size)
    except ProvenanceError:
        own, found = None, digest_of(path)
    where = (
        f"after epoch {own.epoch}, step {own.global_step}" if own and own.epoch is not None else ""
    )
    yield compared(kind, stamp.checkpoint, recorded, found, where)


def code_link(stamp: Stamp, now: str | None, has_diff: bool) -> Link:
    """The code, with its git revision."""
    name = f"hpctrain {stamp.version}"
    text = f"git {stamp.git_revision}" if stamp.git_revision else "no git revision"
    details: tuple[str, ...] = ()
    if stamp.is_dirty:
        text += " with changes that were not committed"
        details = ("the changes: code/dirty.diff",) if has_diff else ()
    if now is None:
        return Link("code", name, "unknown", text, stamp.code_digest, details)
    link = compared("code", name, stamp.code_digest, now, text)
    return replace(link, details=(*link.details, *details))
