"""A new run that goes on from the newest checkpoint of another: a copy, and where it is from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpctrain import run_state
from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.config.run_facts import differences, run_facts
from hpctrain.errors import HpctrainError, RenderError
from hpctrain.provenance.digest import digest_of
from hpctrain.render.existing import manifest


@dataclass(frozen=True)
class Origin:
    """The checkpoint that a run begins with."""

    run: Path
    checkpoint: Path
    """The file itself, not the link `latest`."""


def find_origin(run: Path) -> Origin:
    """The newest checkpoint of a run directory.

    Raises:
        RenderError: it has none.
    """
    link = run / "checkpoints" / "latest"
    path = link.parent / os.readlink(link) if link.is_symlink() else link
    if not path.is_file():
        raise RenderError(
            f"--resume-from: {run}: has no checkpoint to go on from (looked for {link}); "
            "start that run first, or leave the option out"
        )
    return Origin(run, path)


def differing(origin: Origin, job: Job, index_csv: str) -> list[str]:
    """Settings and data that the trainer will not accept to go on with, each as a text."""
    try:
        own = read_resolved(origin.run / "config.yaml")
        index = (origin.run / "index.csv").read_text()
    except (OSError, HpctrainError):
        return []  # of another version; the trainer knows what the checkpoint holds
    found = differences(run_facts(own), run_facts(job))
    return found if index == index_csv else [*found, "the files that are read (index.csv)"]


def take_checkpoint(origin: Origin, target: Path) -> str:
    """Copy a checkpoint into a run directory that has none, and write its origin down.

    Args:
        origin: what `find_origin` returned; its run directory is not changed.
        target: a rendered run directory.

    Returns:
        Name of the checkpoint.

    Raises:
        RenderError: the target has begun work of its own, or cannot be written.
    """
    name = origin.checkpoint.name
    folder = target / "checkpoints"
    earlier = _earlier(target)
    _refuse_begun(origin, target)
    temporary = folder / f".{name}.tmp"
    try:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(origin.checkpoint, temporary)
        digest = digest_of(temporary)
        temporary.replace(folder / name)
        link = folder / ".latest.tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(folder / "latest")
        _note_origin(target, origin, digest)
        for old in earlier - {name}:
            (folder / old).unlink()
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise RenderError(
            f"--resume-from: {origin.checkpoint}: cannot be copied to {folder} ({e.strerror}); "
            "make room or mend the permissions, and render again"
        ) from e
    return name


def _earlier(target: Path) -> set[str]:
    """What an earlier call copied, if the target has not trained since."""
    noted = manifest(target).get("resumed_from", {})
    own = {path.name for path in (target / "checkpoints").glob("state_*")}
    if own - {noted.get("checkpoint")}:
        raise RenderError(
            f"--resume-from: {target}: has checkpoints of its own ({', '.join(sorted(own)[:3])}); "
            "render under another name (--as)"
        )
    return own


def _refuse_begun(origin: Origin, target: Path) -> None:
    """Another checkpoint would make the target forget steps that it has not saved yet."""
    state = run_state.read(target)
    is_at_work = state.verdict() in (*run_state.ACTIVE, "silent")
    if not is_at_work and "global_step" not in state.fields:
        return
    noted = manifest(target).get("resumed_from", {})
    if noted.get("checkpoint") == origin.checkpoint.name and _has_digest(origin, noted):
        return
    raise RenderError(
        f"--resume-from: {target}: {'is at work' if is_at_work else 'has trained'} since it was "
        f"given {noted.get('checkpoint', 'no checkpoint')}, and would lose that with "
        f"{origin.checkpoint.name} of {origin.run}; render under another name (--as)"
    )


def _has_digest(origin: Origin, noted: Mapping[str, str]) -> bool:
    try:
        return digest_of(origin.checkpoint) == noted.get("sha256")
    except OSError:
        return False  # the copy says what is wrong with it


def _note_origin(target: Path, origin: Origin, digest: str) -> None:
    page = manifest(target)
    page["resumed_from"] = {
        "run": str(origin.run.resolve()),
        "checkpoint": origin.checkpoint.name,
        "sha256": digest,
    }
    temporary = target / ".manifest.json.tmp"
    temporary.write_text(json.dumps(page, indent=1) + "\n")
    temporary.replace(target / "manifest.json")
