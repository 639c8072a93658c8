"""An MPI's release as a file that is here, where its host on the network cannot be reached."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpctrain.config.mpi_release import named_by, refuse_path, refuse_release
from hpctrain.container.typed_path import typed_path
from hpctrain.errors import ConfigError

_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class MpiSource:
    """An archive with the release of an MPI.

    Attributes:
        path: where it is; absolute.
        version: of the release.
    """

    path: str
    version: str


def mpi_source(text: str, family: str, version: str | None, cwd: Path) -> MpiSource:
    """What the path of an archive says; it need not be there yet.

    Args:
        text: path, relative to `cwd`.
        family: of the MPI that is wanted.
        version: that was asked for; None: as the name says.
        cwd: folder that a relative path starts from.

    Raises:
        ConfigError: it is of another family or version, or its name says neither.
    """
    if not text:
        raise ConfigError(
            f"--mpi-source: is empty; give the path of an archive of {family}, or leave it out"
        )
    path = typed_path("--mpi-source", text, cwd)
    _checked("--mpi-source", refuse_path, path)
    if version is not None:
        _checked("--mpi-version", refuse_release, version)
    holds, named = named_by(path)
    if holds not in (None, family):
        raise ConfigError(
            f"--mpi-source: {path}: is {holds}'s, and the image's MPI is {family}; give an "
            f"archive of {family}, or --mpi {holds}"
        )
    if named and version and named != version:
        raise ConfigError(
            f"--mpi-source: {path}: is release {named}, and --mpi-version says {version}; leave "
            "--mpi-version out, or give that release's archive"
        )
    found = version or named
    if found is None:
        raise ConfigError(
            f"--mpi-source: {path}: its name says no release, as {family}-1.2.3.tar.bz2 does; "
            "give --mpi-version, too"
        )
    return MpiSource(path, found)


def _checked(option: str, refuse: Callable[[str], None], value: str) -> None:
    try:
        refuse(value)
    except ValueError as e:
        raise ConfigError(f"{option}: {e}") from None


def refuse_unfit(source: MpiSource, family: str, named: str = "--mpi-source") -> None:
    """Read the archive to its end, before a build takes minutes to find out.

    Args:
        source: the archive.
        family: of the MPI that is wanted.
        named: who named it, an option or a key of the site.

    Raises:
        ConfigError: it is absent, no archive, half of one, or of another MPI.
    """
    where = f"{named}: {source.path}"
    try:
        folder = _folder(source.path)
    except FileNotFoundError:
        raise ConfigError(
            f"{where}: no such file; fetch the release where the network reaches it, and copy it "
            "there"
        ) from None
    except _BROKEN as e:
        raise ConfigError(
            f"{where}: is no tar archive, or half of one; a proxy may have sent a page in its "
            "place: fetch it again"
        ) from e
    except OSError as e:  # bz2 and gzip know no other for what is broken
        raise ConfigError(f"{where}: cannot be read: {e.strerror or e}") from e
    if not re.match(rf"{family}(?![a-z])", folder):
        raise ConfigError(
            f"{where}: holds a folder {folder!r} and no {family}; give the archive of a release of "
            f"{family}"
        )


def _folder(path: str) -> str:
    """The folder that a whole archive unpacks to."""
    with tarfile.open(path) as archive:
        first = archive.next()
        for _ in archive:
            pass
        # tarfile takes one that ends between members, or within a header, for whole
        rest = archive.fileobj
        assert rest is not None
        rest.seek(archive.offset)
        if rest.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end-of-archive block")
        while rest.read(1 << 20):  # the checksum of a compressed one is at its end
            pass
    return first.name.removeprefix("./").partition("/")[0] if first else ""
