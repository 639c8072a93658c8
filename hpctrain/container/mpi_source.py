"""An MPI's release as a file that is here, where its host on the network cannot be reached."""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ConfigError

# openmpi-5.0.7.tar.bz2 as upstream names it, openmpi_5.0.7.orig.tar.xz as Debian does
_NAME = re.compile(
    r"(openmpi|mpich)[-_](\d+(?:\.\d+)+\w*?)(?:\.orig)?\.(?:tar(?:\.\w+)?|tgz|tbz2?)"
)
_SAFE = re.compile(r"[A-Za-z0-9_.:/@%+~,=-]+")


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
    path = os.path.abspath(cwd / Path(text).expanduser())
    if not _SAFE.fullmatch(path):
        raise ConfigError(
            f"--mpi-source: {path!r} cannot stand in a definition; allowed: letters, digits and "
            "any of _ . : / @ % + ~ , = -; rename it"
        )
    match = _NAME.fullmatch(os.path.basename(path))
    if match and match[1] != family:
        raise ConfigError(
            f"--mpi-source: {path}: is {match[1]}'s, and the image's MPI is {family}; give an "
            f"archive of {family}, or --mpi {match[1]}"
        )
    named = match[2] if match else None
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


def refuse_unfit(source: MpiSource, family: str) -> None:
    """Look into the archive, before a build takes minutes to find out.

    Raises:
        ConfigError: it is absent, no archive, or of another MPI.
    """
    try:
        with tarfile.open(source.path) as archive:
            first = archive.next()
    except FileNotFoundError:
        raise ConfigError(
            f"--mpi-source: {source.path}: no such file; fetch the release where the network "
            "reaches it, and copy it there"
        ) from None
    except OSError as e:
        raise ConfigError(f"--mpi-source: {source.path}: cannot be read: {e.strerror}") from e
    except (tarfile.TarError, EOFError) as e:
        raise ConfigError(
            f"--mpi-source: {source.path}: is no tar archive, or half of one; a proxy may have "
            "sent a page in its place: fetch it again"
        ) from e
    folder = first.name.removeprefix("./").partition("/")[0] if first else ""
    if not re.match(rf"{family}(?![a-z])", folder):
        raise ConfigError(
            f"--mpi-source: {source.path}: holds a folder {folder!r} and no {family}; give the "
            f"archive of a release of {family}"
        )
