"""The stamp of a run, made from what is in its directory."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctrain import __version__
from hpctrain.provenance.stamp import Stamp

_CODE = ("hpctrain", "user")
"""Folders of code/ that the digest is over; what lies beside them says where the code is from."""


def stamp_run(run_dir: Path, product: str, **more: Any) -> Stamp:
    """A stamp for a product of a run, as the run directory is now.

    Args:
        run_dir: the run directory; what is missing in it is empty in the stamp.
        product: what is to be stamped, see `Stamp`.
        more: further fields of the stamp.
    """
    page = read_manifest(run_dir)
    inputs, launches = _mapping(page.get("inputs")), launches_of(page)
    last: Mapping[str, Any] = launches[-1] if launches else {}
    container = _mapping(last.get("container"))
    return Stamp(
        product,
        **{
            "version": __version__,
            "run_id": run_id(page),
            "run_name": run_dir.resolve().name,
            "run_dir": str(run_dir.resolve()),
            "host": socket.gethostname(),
            "launch_id": str(last.get("launch_id") or ""),
            "config_digest": file_digest(run_dir / "config.yaml"),
            "index_digest": file_digest(run_dir / "index.csv"),
            "code_digest": code_digest(run_dir / "code"),
            "git_revision": _text(inputs.get("git_revision")),
            "is_dirty": inputs.get("dirty") if isinstance(inputs.get("dirty"), bool) else None,
            "container_image": _text(container.get("image")),
            "container_digest": _text(container.get("sha256")),
            **more,
        },
    )


def run_id(manifest: Mapping[str, Any]) -> str:
    """Identity of a run: a digest of what was rendered and of when and where it first started.

    Rendering is a pure function and so cannot tell two trainings of one job apart, but the first
    start can; a copy of the run directory keeps it. Empty before the first start.
    """
    launches = launches_of(manifest)
    if not launches:
        return ""
    first = {key: launches[0].get(key) for key in ("launch_id", "hosts", "time")}
    parts = {key: manifest.get(key) for key in ("version", "inputs", "files")}
    text = json.dumps({**parts, "first": first}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def launches_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Starts of the training, as the manifest lists them."""
    found = manifest.get("launches")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def read_manifest(run_dir: Path) -> dict[str, Any]:
    """manifest.json; empty where it cannot be read."""
    try:
        page = json.loads((run_dir / "manifest.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return page if isinstance(page, dict) else {}


def file_digest(path: Path) -> str:
    """sha256 of a small file; empty where it cannot be read."""
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def code_digest(code: Path) -> str:
    """Digest over paths and contents of code/, as rendering computes it; empty without code."""
    found = {}
    for top in _CODE:
        for folder, folders, names in os.walk(code / top):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                path = Path(folder, name)
                if path.suffix != ".pyc":
                    found[path.relative_to(code).as_posix()] = file_digest(path)
    lines = "".join(f"{found[path]}  {path}\n" for path in sorted(found))
    return hashlib.sha256(lines.encode()).hexdigest() if found else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
