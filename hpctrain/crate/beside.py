"""Files that decide a training and are not in its index: into a crate, and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from hpctrain.config.job import Job
from hpctrain.crate.content import DATA, Member, member
from hpctrain.crate.entities import add_file, media_type
from hpctrain.crate.unpack import Crate
from hpctrain.errors import DataError
from hpctrain.index.beside import KEYS, named_files
from hpctrain.trace.beside import BesideFile

FOLDER = "beside"
"""Folder of those that lie outside of the data's root, one below it for each key."""


def beside_members(files: Iterable[BesideFile]) -> Iterator[Member]:
    """The files themselves, each compared with the manifest.

    Raises:
        DataError: one is missing, or is not the one of which the digest was taken.
    """
    for file in files:
        what = file.difference or ("" if file.size is not None else "of unknown content")
        if what:
            raise DataError(
                f"{file.key}: {file.path}: {what}, so a crate with it would not be this run; "
                "restore it, or leave --with-data out"
            )
        yield member(file.path.parent, file.path.name, "input", name_of(file))


def add_beside(crate: Any, files: Iterable[BesideFile], taken: Iterable[Member]) -> list[Any]:
    """An entity for each: the file in the crate, or where it was."""
    own = {m.name: m for m in taken}
    found = []
    for file in files:
        about = f"named by {file.key}; not in index.csv"
        if name_of(file) in own:
            entity = add_file(crate, own[name_of(file)])
        else:
            properties = {"name": file.path.name, "encodingFormat": media_type(file.path.name)}
            if file.size is not None:
                properties |= {"contentSize": str(file.size), "sha256": file.sha256}
            uri = f"file://{quote(str(file.path))}"
            entity = crate.add_file(source=uri, properties=properties)
        entity["description"] = about
        found.append(entity)
    return found


def unpacked(crate: Crate) -> dict[str, str]:
    """Name in the crate of each file that lay outside of the data's root, by its key."""
    found = {}
    for key in KEYS:
        names = crate.names(f"{FOLDER}/{key}/")
        if len(names) == 1:
            found[key] = names[0]
    return found


def with_places(job: Job, places: dict[str, str]) -> Job:
    """The job with other paths of such files.

    Args:
        job: the job.
        places: path by key, of keys that the job has.
    """
    for key, path in places.items():
        if key in named_files(job):
            job = _with_value(job, key.split("."), path)
    return job


def _with_value(schema: Any, keys: list[str], value: str) -> Any:
    first, *rest = keys
    own = _with_value(getattr(schema, first), rest, value) if rest else value
    return schema.model_copy(update={first: own})


def name_of(file: BesideFile) -> str:
    """Path within a crate: with the data, or in a folder of its own if it lay outside of them."""
    path = PurePosixPath(file.name)
    if path.is_absolute() or ".." in path.parts or file.name.startswith("~"):
        return f"{FOLDER}/{file.key}/{Path(file.name).name}"
    return f"{DATA}/{path}"
