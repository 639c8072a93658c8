"""The run directory of a product, where it lies now, and its parts compared with the stamp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpctrain import run_state
from hpctrain.errors import DataError, ProvenanceError
from hpctrain.provenance import Stamp, read, run_id, stamp_run
from hpctrain.provenance.checkpoint import digest_of
from hpctrain.provenance.files import read_stamp
from hpctrain.provenance.run import launches_of, read_manifest
from hpctrain.trace.card import read_card
from hpctrain.trace.inputs import differences, read_inputs
from hpctrain.trace.link import Link, Verdict, compared

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

    First the one that was named, then where it was, then around the file itself.

    Raises:
        ProvenanceError: the one that was named is no run directory.
    """
    if named is not None:
        if not run_state.is_run(named):
            raise ProvenanceError(f"--run: {named}: is no run directory")
        return Place(named, _mismatch(named, stamp))
    problem = ""
    for folder in (Path(stamp.run_dir), *file.resolve().parents) if stamp.run_dir else ():
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
    yield container_link(stamp, _container(page, stamp.launch_id), has_content)
    yield from launch_links(page)
    yield compared("index", "index.csv", stamp.index_digest, now.index_digest)
    yield from input_links(run_dir, has_content, tell)


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


def container_link(stamp: Stamp, facts: Mapping[str, Any], has_content: bool) -> Link:
    """The container image, compared by its size or content where it is a file that is here."""
    if stamp.container_image is None:
        return Link("container", "none", "", "ran without")
    path, recorded = Path(stamp.container_image), stamp.container_digest or ""
    details = tuple(f"{key} {value}" for key, value in sorted(_labels(facts).items()))
    verdict: Verdict = "unknown"
    text = "" if recorded else "its digest was not taken"
    if "://" not in stamp.container_image:
        verdict, text = _image_verdict(path, recorded, facts.get("size"), has_content, text)
    return Link("container", stamp.container_image, verdict, text, recorded, details)


def _image_verdict(
    path: Path, recorded: str, size: Any, has_content: bool, text: str
) -> tuple[Verdict, str]:
    try:
        now = path.stat().st_size
        if isinstance(size, int) and now != size:
            return "changed", f"{now} bytes, were {size}"
        if recorded and has_content:
            return ("same", "") if digest_of(path) == recorded else ("changed", "other content")
        return ("same", "by its size; --digests reads it") if size else ("unknown", text)
    except OSError as e:
        return "missing", f"{e.strerror}"


def _labels(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = facts.get("labels")
    return labels if isinstance(labels, dict) else {}


def _container(page: Mapping[str, Any], launch_id: str) -> Mapping[str, Any]:
    launches = launches_of(page)
    own = [entry for entry in launches if entry.get("launch_id") == launch_id] or launches[-1:]
    found = own[0].get("container") if own else None
    return found if isinstance(found, dict) else {}


def launch_links(page: Mapping[str, Any]) -> Iterator[Link]:
    """Starts of the training: when, where, with what versions."""
    origin = page.get("resumed_from")
    if isinstance(origin, dict):
        name = f"{origin.get('checkpoint')} of {origin.get('run')}"
        yield Link("began with", name, "", "", str(origin.get("sha256") or ""))
    for entry in launches_of(page):
        details = tuple(line for line in (_versions(entry), _machine(entry)) if line)
        name = str(entry.get("launch_id") or "?")
        yield Link("launch", name, "", launch_text(entry), "", details)


def launch_text(entry: Mapping[str, Any]) -> str:
    """One start in one line: when, where, on what, and how it ended."""
    hosts = entry.get("hosts")
    hosts = [str(host) for host in hosts] if isinstance(hosts, list) else []
    shown = ", ".join(hosts[:4]) + (f" and {len(hosts) - 4} more" if len(hosts) > 4 else "")
    ranks, code = entry.get("world_size"), entry.get("exit_code")
    parts = [
        moment(entry.get("time")),
        f"on {shown}" if shown else "",
        f"{ranks} rank{'s' * (ranks != 1)}" if ranks else "",
        *(str(entry.get(key) or "") for key in ("comm", "device")),
        f"exit code {code}" if code is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _versions(entry: Mapping[str, Any]) -> str:
    packages = entry.get("packages")
    versions = packages if isinstance(packages, dict) else {"torch": entry.get("torch")}
    parts = [f"{name} {own}" for name, own in (("python", entry.get("python")), *versions.items())]
    return ", ".join([part for part in parts if not part.endswith(" None")])


def _machine(entry: Mapping[str, Any]) -> str:
    modules = entry.get("modules")
    parts = [
        *(str(entry.get(key) or "") for key in ("platform", "driver", "mpi")),
        f"modules {' '.join(map(str, modules))}" if isinstance(modules, list) else "",
    ]
    return ", ".join(part for part in parts if part)


def moment(seconds: Any) -> str:
    """Seconds since 1970 as date and time in UTC; empty for anything else."""
    number = run_state.finite(seconds)
    if number is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(number))
    except (OverflowError, OSError, ValueError):
        return ""


def input_links(run_dir: Path, has_content: bool, tell: Callable[[str], None]) -> Iterator[Link]:
    """The input files, and the data card of their folder."""
    try:
        texts = [(run_dir / name).read_text() for name in ("index.csv", "index.json")]
        inputs = read_inputs(texts[0], texts[1])
    except (OSError, DataError) as e:
        yield Link("inputs", "unknown", "unknown", str(e))
        return
    found = differences(inputs, has_content, tell)
    num_bytes = sum(file.size for file in inputs.files)
    text = f"{len(inputs.files)} files, {_size(num_bytes)}"
    details = tuple(f"{what}: {name}" for name, what in found[:_MOST])
    if len(found) > _MOST:
        details += (f"and {len(found) - _MOST} more",)
    verdict: Verdict = "same"
    if found:
        is_gone = all(what.startswith("missing") for _, what in found)
        verdict = "missing" if is_gone and len(found) == len(inputs.files) else "changed"
        text += f", {len(found)} not as indexed"
    yield Link("inputs", str(inputs.root), verdict, text, "", details)
    card = read_card(inputs.root)
    if card is not None:
        details = tuple(
            f"{key}: {value}"
            for key, value in (("source", card.source), ("licence", card.licence))
            if value
        )
        yield Link("data card", card.path.name, "", card.title, card.digest, details)


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"
