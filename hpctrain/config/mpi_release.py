"""What the path of an archive says about the release of an MPI in it."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator

from hpctrain.config.words import Line

# openmpi-5.0.7.tar.bz2 as upstream names it, openmpi_5.0.7.orig.tar.xz as Debian does
_NAME = re.compile(
    r"(openmpi|mpich)[-_](\d+(?:\.\d+)+\w*?)(?:\.orig)?\.(?:tar(?:\.\w+)?|tgz|tbz2?)", re.ASCII
)
_RELEASE = re.compile(r"\d+(?:\.\d+)+\w*", re.ASCII)
_SAFE = re.compile(r"[A-Za-z0-9_.:/@%+~,=-]+")


def named_by(path: str) -> tuple[str | None, str | None]:
    """Family and release that an archive's name says; None, None: it says neither."""
    match = _NAME.fullmatch(os.path.basename(path))
    return (match[1], match[2]) if match else (None, None)


def refuse_release(version: str) -> None:
    """Refuse what is no release, as it is written into a definition's shell lines.

    Raises:
        ValueError: it is none.
    """
    if not _RELEASE.fullmatch(version):
        raise ValueError(
            f"{version!r} is no release; allowed: numbers with dots, as 5.0.8 or 4.3.0rc1"
        )


def refuse_path(path: str) -> None:
    """Refuse the path of an archive that a definition's `%files` cannot hold.

    Raises:
        ValueError: it cannot.
    """
    if not _SAFE.fullmatch(path):
        raise ValueError(
            f"{path!r} cannot stand in a definition; allowed: letters, digits and any of "
            "_ . : / @ % + ~ , = -; rename it"
        )


def _archive(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(
            f"found {value!r}; allowed: an absolute path, as runs are rendered in many folders"
        )
    refuse_path(value)
    return value


ArchivePath = Annotated[Line, AfterValidator(_archive)]
"""An archive that is the same for everybody on a machine."""
