"""What is in a sweep's folder that exists: what changed, and why it may have to stay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpctrain.errors import RenderError
from hpctrain.render import File, write_run
from hpctrain.render.existing import changes, foreign_paths, has_started, manifest
from hpctrain.render.inputs import digest
from hpctrain.render.writer import next_name, write_file
from hpctrain.sweep.write import CODE, FACTS, POINTS, TABLE, Rendered, put_code, put_point

_SHOWN = 5
_KEYS = ("how", "num_points", "parts", "max_running", "files")
_NOTES = (
    *("submitted.log", "chain.log", "followers", "STOP", "scaling.png", "scaling.svg"),
    *("answer.csv", "answer.csv.provenance.json", "answer.json", "answer.png", "answer.svg"),
)
"""Written beside a sweep while it runs, or by `hpctrain scale` and `hpctrain study`."""


def sweep_facts(folder: Path) -> dict[str, Any]:
    """sweep.json of a folder; empty where there is none that render could have written."""
    try:
        page = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(page, dict) and all(key in page for key in _KEYS)
    return page if is_whole and isinstance(page["files"], dict) else {}


def sweep_changes(
    target: Path, texts: Mapping[str, str], rendered: Iterable[Rendered]
) -> Iterator[str]:
    """What differs between a sweep as it was rendered and these files."""
    old, new = sweep_facts(target), json.loads(texts[FACTS])
    for key in new:
        if key != "why" and old.get(key) != new[key]:
            yield f"{key} of {FACTS}"
    for point, files in rendered:
        run = target / POINTS / point.name
        if run.exists():
            yield from (f"{POINTS}/{point.name}/{name}" for name in changes(files, run))


def restore(target: Path, texts: Mapping[str, str], rendered: Iterable[Rendered]) -> bool:
    """Write back what is gone of a sweep; edited files stay. Returns whether anything was."""
    found = False
    written: dict[str, Path] = {}
    for name, text in texts.items():
        if not (target / name).exists():
            write_file(File(text.encode(), is_executable=name.startswith("run")), target / name)
            found = True
    for point, files in rendered:
        run = target / POINTS / point.name
        put_code(files, target)
        if not run.exists():
            put_point(files, run, target, written)
            found = True
        elif write_run(files, run) == "restored":
            found = True
    return found


def refuse_to_replace(target: Path, changed: list[str]) -> None:
    """Refuse where a sweep must stay as it is.

    Raises:
        RenderError: it is no sweep, has started, or holds what render did not write.
    """
    name, way_out = target.name, f"--as {next_name(target)}"
    if not sweep_facts(target):
        raise RenderError(
            f"{target}: exists and is no sweep; move it away, or render with --as {name}-2"
        )
    runs = sorted(path for path in (target / POINTS).iterdir() if path.is_dir())
    started = [r.name for r in runs if has_started(r) or (r / "submitted.log").exists()]
    if started or (target / "submitted.log").exists():
        which = f": {_listed(started)}" if started else ""
        raise RenderError(
            f"{target}: this sweep has started{which}, and the job has changed since it was "
            f"rendered ({_listed(changed)}); keep it and render the change as a new one: {way_out}"
        )
    edited = list(_edited(target, runs))
    if edited:
        raise RenderError(
            f"{target}: {_listed(edited)} was edited by hand since it was rendered; render the "
            f"change as a new sweep: {way_out}, or remove the folder"
        )
    own = list(_foreign(target, runs))
    if own:
        raise RenderError(
            f"{target}: {_listed(own)} was not written by render, and would be lost; move it "
            f"away, or render as a new sweep: {way_out}"
        )


def _edited(target: Path, runs: Iterable[Path]) -> Iterator[str]:
    recorded = sweep_facts(target).get("files", {})
    for name, known in recorded.items():
        path = target / name
        if path.is_file() and digest(path.read_bytes()) != known:
            yield name
    is_first = True
    for run in runs:
        for name, known in manifest(run).get("files", {}).items():
            if name.startswith(CODE) and not is_first:
                continue  # all points have the same
            path = run / name
            if path.is_file() and digest(path.read_bytes()) != known:
                yield f"{POINTS}/{run.name}/{name}"
        is_first = False


def _foreign(target: Path, runs: Iterable[Path]) -> Iterator[str]:
    ours = {*sweep_facts(target).get("files", {}), FACTS, TABLE, POINTS, "code", "logs", *_NOTES}
    yield from (path.name for path in sorted(target.iterdir()) if path.name not in ours)
    for run in runs:
        yield from (f"{POINTS}/{run.name}/{path}" for path in foreign_paths(run) if path != "code")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
