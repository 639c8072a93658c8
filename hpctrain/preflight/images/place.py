"""Where an image lies: there, readable, and on a file system that compute nodes see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hpctrain.config.finding import Finding, error, warning
from hpctrain.config.site import Site
from hpctrain.engines import Engine

_MOUNTS = Path("/proc/self/mounts")
_LOCAL = ("tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "squashfs", "zfs")
"""Kinds of file systems that belong to one host."""
_SIF_MAGIC, _SIF_AT = b"SIF_MAGIC", 32


def place_findings(
    image: str,
    engine: Engine,
    site: Site,
    where: str,
    *,
    is_here: bool = True,
    mounts: Path = _MOUNTS,
) -> Iterator[Finding]:
    """Look at the file; one that is missing is left to the caller.

    Args:
        image: absolute path.
        engine: what is to start it.
        site: the site.
        where: what findings are about.
        is_here: whether this host is one of the site's.
        mounts: table of mounted file systems.
    """
    if not os.access(image, os.R_OK | (os.X_OK if os.path.isdir(image) else 0)):
        yield error(where, f"{image} cannot be read; mend its permissions (chmod a+r)")
        return
    if engine.program == "ch-run" and _is_sif(image):
        text = f"{image} is a SIF file, which ch-run cannot start; unpack it into a folder"
        yield error(where, f"{text}: apptainer build --sandbox FOLDER {image}")
    kind = filesystem(image, mounts)
    if is_here and site.scheduler != "local" and kind in _LOCAL:
        text = f"{image} lies on a disk of this host ({kind}), which compute nodes may not see"
        yield warning(where, f"{text}; put it on a shared file system")


def filesystem(path: str, mounts: Path = _MOUNTS) -> str:
    """Kind of the file system that holds a path; nothing where that is not known."""
    best, kind = "", ""
    real = os.path.realpath(path)
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, found = line.split()[:3]
        point = point.encode().decode("unicode_escape")
        inside = real == point or real.startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def _is_sif(image: str) -> bool:
    if not os.path.isfile(image):
        return False
    with open(image, "rb") as file:
        return file.read(_SIF_AT + len(_SIF_MAGIC))[_SIF_AT:] == _SIF_MAGIC
