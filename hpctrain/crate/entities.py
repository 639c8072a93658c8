"""Single entities of a crate."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from hpctrain.crate.content import Member

_FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".pt": "application/zip",
    ".sh": "application/x-sh",
    ".def": "text/plain",
    ".log": "text/plain",
    ".nc": "application/netcdf",
    ".h5": "application/x-hdf5",
}


def iso(seconds: float) -> str:
    """Seconds since 1970 in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def add(crate: Any, identifier: str, properties: dict[str, Any]) -> Any:
    """A contextual entity."""
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties=properties))


def add_file(crate: Any, member: Member) -> Any:
    """A file of the crate as an entity."""
    return crate.add_file(dest_path=member.name, properties=file_properties(member))


def file_properties(member: Member) -> dict[str, Any]:
    """Name, size, sha256 and media type; the content digest of a stamped product."""
    found: dict[str, Any] = {
        "name": member.name,
        "contentSize": str(member.size),
        "sha256": member.sha256,
    }
    found["encodingFormat"] = media_type(member.name)
    if member.stamp is not None and member.stamp.content_digest:
        found["identifier"] = f"sha256:{member.stamp.content_digest}"
    return found


def media_type(name: str) -> str:
    """Media type by suffix."""
    return _FORMATS.get(Path(name).suffix.lower(), "application/octet-stream")


def add_text(crate: Any, name: str, content: bytes, kind: str) -> Any:
    """A file that was made for the crate."""
    properties = {
        "name": name,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "encodingFormat": kind,
    }
    return crate.add_file(dest_path=name, properties=properties)
