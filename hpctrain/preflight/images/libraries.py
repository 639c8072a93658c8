"""Versions, and what a library of the host asks of the C library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def number(version: str) -> tuple[int, ...]:
    """`2.36` as (2, 36); a version without numbers is lower than all."""
    return tuple(int(part) for part in re.findall(r"\d+", version)) or (-1,)


def newest_glibc(folders: Sequence[str], soname: str) -> tuple[str, str]:
    """The newest glibc that an MPI library in these folders needs, and the file; or nothing."""
    for folder in folders:
        path = Path(folder) / soname
        if path.is_file():
            found = {m.decode() for m in re.findall(rb"GLIBC_(\d+\.\d+)\b", path.read_bytes())}
            return (max(found, key=number, default=""), str(path))
    return "", ""
