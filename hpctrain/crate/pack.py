"""A crate on disk: a zip file with the same bytes for the same content, or a folder."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from hpctrain.crate.content import Member
from hpctrain.errors import RenderError

_PIECE = 1 << 22
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_STORED = (".pt", ".png", ".gz", ".nc", ".h5", ".npy", ".tif", ".jpg", ".zip")
"""Kept as they are: deflating them costs time and gains next to nothing."""


def write_zip(texts: Mapping[str, bytes], members: Sequence[Member], out: Path) -> None:
    """Write a zip file under a temporary name, then rename it.

    Args:
        texts: content by name, in front of all members.
        members: the files.
        out: where; must not exist.

    Raises:
        RenderError: it cannot be written, or a file changed meanwhile.
    """
    with _parts(out) as part:
        with part.open("wb") as raw:
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in texts.items():
                    archive.writestr(_info(name, False), content)
                for folder in _folders(members):
                    archive.writestr(_folder_info(folder), b"")
                for member in members:
                    info = _info(member.name, member.is_executable)
                    info.file_size = member.size  # beyond 2 GiB it needs another header
                    with archive.open(info, "w") as file:
                        _copy(member, file)
            raw.flush()
            os.fsync(raw.fileno())
        _publish(part, out)


def write_folder(texts: Mapping[str, bytes], members: Sequence[Member], out: Path) -> None:
    """Write a folder likewise.

    Raises:
        RenderError: it cannot be written, or a file changed meanwhile.
    """
    with _parts(out) as part:
        part.mkdir()
        for name, content in texts.items():
            (part / name).write_bytes(content)
        for member in members:
            path = part / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                _copy(member, file)
            if member.is_executable:
                path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        _publish(part, out)


class _parts:  # noqa: N801 - used as a function
    """A path in a temporary folder beside the target, which is taken away at the end."""

    def __init__(self, out: Path) -> None:
        self._out, self._folder = out, ""

    def __enter__(self) -> Path:
        if os.path.lexists(self._out):
            raise RenderError(f"{self._out}: exists; move it away, or give another --out")
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix=f".{self._out.name[:80]}-", dir=self._out.parent)
        except OSError as e:
            raise _unwritable(self._out, e) from e
        return Path(self._folder, "part")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _unwritable(self._out, error) from error


def _publish(part: Path, out: Path) -> None:
    if os.path.lexists(out):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    part.rename(out)


def _unwritable(out: Path, error: OSError) -> RenderError:
    return RenderError(f"{out}: cannot be written ({error.strerror}); nothing was left there")


def _info(name: str, is_executable: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.create_system = 3  # Unix, whatever this is
    info.external_attr = (stat.S_IFREG | (0o755 if is_executable else 0o644)) << 16
    stored = name.lower().endswith(_STORED)
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    return info


def _folders(members: Sequence[Member]) -> list[str]:
    """All folders, as entries of their own: validators look for them."""
    found = {str(up) for member in members for up in PurePosixPath(member.name).parents}
    return sorted(f"{name}/" for name in found - {"."})


def _folder_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.create_system = 3
    info.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10  # and as MS-DOS says it
    return info


def _copy(member: Member, file: IO[bytes]) -> None:
    sha = hashlib.sha256()
    for piece in _pieces(member.source, member.size):
        sha.update(piece)
        file.write(piece)
    if sha.hexdigest() != member.sha256:
        raise RenderError(
            f"{member.source}: changed while it was copied; wait until the run has ended, and "
            "export it again"
        )


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The first bytes of a file: what a log got since it was looked at stays out."""
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(_PIECE, size))):
            yield piece
            size -= len(piece)
