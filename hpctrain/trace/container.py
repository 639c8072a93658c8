"""The container image that a run was in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpctrain.provenance import Stamp
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.run import launches_of
from hpctrain.trace.link import Link, Verdict


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


def container_facts(page: Mapping[str, Any], launch_id: str) -> Mapping[str, Any]:
    """What a start noted of its image; of the last one, where that start is not known."""
    launches = launches_of(page)
    own = [entry for entry in launches if entry.get("launch_id") == launch_id] or launches[-1:]
    found = own[0].get("container") if own else None
    return found if isinstance(found, dict) else {}
