"""Read a crate that anybody may have made: nothing is written outside, nothing is run."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

from hpctrain.errors import ConfigError

METADATA = "ro-crate-metadata.json"
_MOST_BYTES = 64 << 20
"""Of one file that is read into memory, and of all code together."""
_PIECE = 1 << 22
_BROKEN = (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError)
"""What reading a zip file raises that is torn, encrypted, or packed in a way not known here."""


class Crate:
    """A crate, zip file or folder, opened for reading."""

    def __init__(self, path: Path) -> None:
        """Open it and look at its names.

        Raises:
            ConfigError: it is no crate of hpctrain, or holds what could do harm.
        """
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            self._names = dict(_walk(path))
        else:
            self._names = dict(self._open())
        missing = [name for name in (METADATA, "manifest.json") if name not in self._names]
        if missing:
            raise ConfigError(
                f"{path}: has no {missing[0]}; give a crate that `hpctrain export --ro-crate` wrote"
            )

        size = sum(self._names[name] for name in self.names("code/"))
        if size > _MOST_BYTES:
            raise ConfigError(
                f"{path}: its code is {size / 2**20:.1f} MiB; at most {_MOST_BYTES >> 20} MiB are "
                "read"
            )

    def close(self) -> None:
        """Close the zip file."""
        if self._archive is not None:
            self._archive.close()

    def names(self, lead: str = "") -> list[str]:
        """Files whose path begins so, sorted."""
        return sorted(name for name in self._names if name.startswith(lead))

    def read(self, name: str) -> bytes:
        """One file.

        Raises:
            ConfigError: it is not there, too large, or torn.
        """
        if name not in self._names:
            raise ConfigError(f"{self.path}: has no {name}; export the run again")
        try:
            with self.open(name) as file:
                content = file.read(_MOST_BYTES + 1)
        except (OSError, *_BROKEN) as e:
            raise ConfigError(f"{self.path}: {name} cannot be read ({e})") from e
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{self.path}: {name} is larger than {_MOST_BYTES >> 20} MiB")
        return content

    def text(self, name: str) -> str:
        """A text file.

        Raises:
            ConfigError: it is none.
        """
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as e:
            raise ConfigError(f"{self.path}: {name} is no text in UTF-8 ({e})") from e

    def page(self, name: str) -> dict[str, Any]:
        """A JSON object.

        Raises:
            ConfigError: it is none.
        """
        try:
            content = json.loads(self.read(name))
        except (ValueError, RecursionError) as e:
            raise ConfigError(f"{self.path}: {name} is not JSON ({e})") from e
        if not isinstance(content, dict):
            raise ConfigError(f"{self.path}: {name} is no JSON object")
        return content

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open one file for reading."""
        if self._archive is not None:
            with self._archive.open(name) as file:
                yield file
        else:
            with (self.path / name).open("rb") as file:
                yield file

    def altered(self) -> list[str]:
        """Files that are not as they were exported: changed, missing, or added since.

        Code is compared with the manifest, which lists it; input files in data/ of which the
        metadata do not say more are compared with the index elsewhere.
        """
        listed, rendered = self._listed(), self.rendered()
        code = {name: own for name, own in rendered.items() if name.startswith("code/")}
        found = [name for name, own in {**listed, **code}.items() if self._differs(name, own)]
        known = {*listed, *rendered, METADATA}
        found += [name for name in self._names if name not in known and name[:5] != "data/"]
        return sorted(found)

    def edited(self) -> list[str]:
        """Rendered files, code aside, of which the crate itself says that they are others now."""
        listed = self._listed()
        return [
            name
            for name, own in sorted(self.rendered().items())
            if not name.startswith("code/") and listed.get(name) != own
        ]

    def rendered(self) -> dict[str, str]:
        """Digests of all files as they were rendered, by name; from the manifest."""
        files = self.page("manifest.json").get("files")
        files = files if isinstance(files, dict) else {}
        return {str(name): str(own) for name, own in files.items()}

    def extract(self, lead: str, target: Path) -> int:
        """Copy the files whose path begins so to a new folder; returns how many.

        Raises:
            ConfigError: one cannot be read.
            OSError: one cannot be written.
        """
        names = self.names(lead)
        for name in names:
            path = target / name[len(lead) :]
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self.open(name) as source, path.open("xb") as file:
                    while piece := source.read(_PIECE):
                        file.write(piece)
            except _BROKEN as e:
                raise ConfigError(f"{self.path}: {name} cannot be read ({e})") from e
        return len(names)

    def _open(self) -> Iterator[tuple[str, int]]:
        try:
            self._archive = zipfile.ZipFile(self.path)
        except FileNotFoundError as e:
            raise ConfigError(f"{self.path}: no such file or folder") from e
        except (OSError, *_BROKEN) as e:
            raise ConfigError(f"{self.path}: is no zip file that can be read ({e})") from e
        seen = set()
        for info in self._archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _harmful(self.path, info.filename, "is a link or a device")
            if not info.is_dir():
                if info.filename in seen:
                    raise _harmful(self.path, info.filename, "is there twice")
                seen.add(info.filename)
                yield checked(self.path, info.filename), info.file_size

    def _listed(self) -> dict[str, str]:
        graph = self.page(METADATA).get("@graph")
        if not isinstance(graph, list):
            raise ConfigError(f"{self.path}: {METADATA} has no @graph")
        found = {}
        for entity in graph:
            name = entity.get("@id") if isinstance(entity, dict) else None
            if _is_file(entity) and isinstance(name, str) and "://" not in name:
                found[unquote(name)] = str(entity.get("sha256") or "")
        return found

    def _differs(self, name: str, recorded: str) -> bool:
        if name not in self._names:
            return True
        sha = hashlib.sha256()
        try:
            with self.open(name) as file:
                while piece := file.read(_PIECE):
                    sha.update(piece)
        except (OSError, *_BROKEN):
            return True
        return sha.hexdigest() != recorded


def _is_file(entity: Any) -> bool:
    """Whether an entity of the metadata is a file with a digest."""
    kinds = entity.get("@type") if isinstance(entity, dict) else None
    is_file = "File" in kinds if isinstance(kinds, list) else kinds == "File"
    return is_file and isinstance(entity.get("sha256"), str)


def checked(crate: Path, name: str) -> str:
    """A name that stays within the folder it is unpacked to.

    Raises:
        ConfigError: it would not.
    """
    path = PurePosixPath(name)
    is_bad = path.is_absolute() or "\\" in name or "\0" in name or name != path.as_posix()
    if is_bad or not path.parts or any(part in ("..", ".", "") for part in path.parts):
        raise _harmful(crate, name, "would leave the folder it is unpacked to")
    return name


def _harmful(crate: Path, name: str, why: str) -> ConfigError:
    return ConfigError(f"{crate}: {name!r} {why}; this is no crate that hpctrain wrote")


def _walk(top: Path) -> Iterator[tuple[str, int]]:
    """Files of a folder with their sizes."""
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink():
                raise _harmful(top, path.relative_to(top).as_posix(), "is a link or a device")
            if name in names and path.is_file():
                yield path.relative_to(top).as_posix(), path.stat().st_size
