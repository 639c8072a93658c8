"""The run script, rendered into memory or as it lies in the run directory, before the linter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hpctrain.config.finding import Finding, Severity, error, note
from hpctrain.config.site import Site
from hpctrain.render.existing import Difference, differences, manifest
from hpctrain.render.new_template import SCHEDULERS


def script_findings(
    text: str,
    name: str,
    site: Site,
    is_executable: bool = True,
    has_folder: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """What `hpctrain lint` says of a run script.

    Args:
        text: the script.
        name: its file name.
        site: the site as the job's queue sees it.
        is_executable: whether the file is.
        has_folder: whether a folder that the script names is there; None: not known.
    """
    from hpctrain.lint import lint_text

    if site.scheduler == "local":
        return []
    mark = SCHEDULERS[site.scheduler]
    if not any(line.startswith(f"{mark} ") for line in text.splitlines()):
        advice = "a template of one's own keeps them with {{ super() }} in its block directives"
        return [error(name, f"has no line that begins with {mark}; {advice}")]
    # what is required has been compared with the job itself, which says it better
    lines = site.directives.model_copy(update={"required": []})
    bare = site.model_copy(update={"directives": lines})
    found = lint_text(text, name, site.scheduler, bare, is_executable, has_folder)
    return [
        Finding(_severity(item.severity), f"{name}:{item.line}", f"{item.code} {item.text}")
        for item in found
    ]


def _severity(word: str) -> Severity:
    return "error" if word == "error" else "warning"


def kept_script(run_dir: Path, name: str) -> tuple[str, bool] | None:
    """The script in a run directory, and whether it is executable; None where there is none."""
    path = run_dir / name
    try:
        return path.read_text(encoding="utf-8", errors="replace"), os.access(path, os.X_OK)
    except OSError:
        return None


def edited_findings(run_dir: Path, has_code: bool = True) -> Iterator[Finding]:
    """Files of a run directory that are not as they were rendered."""
    if not isinstance(manifest(run_dir).get("files"), dict):
        text = "cannot be read, so nothing tells what was edited; render the job again"
        yield error(_shown(run_dir / "manifest.json"), text)
        return
    yield from difference_findings(run_dir, differences(run_dir, has_code))


def difference_findings(folder: Path, found: Iterable[Difference]) -> Iterator[Finding]:
    """What is gone or edited of a run directory or a sweep; files beside it are fine."""
    for difference in found:
        where = _shown(folder / difference.path)
        if difference.what == "removed":
            yield error(where, "is gone since it was rendered; `hpctrain render` writes it again")
        elif difference.what == "edited":
            yield note(where, "was edited since it was rendered")


def _shown(path: Path) -> str:
    """A path as a user would write it from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd().resolve()) else str(path)
