"""A stamp amid a file of any format that keeps text attributes as they are, found by its text.

NetCDF 3, HDF5 and so NetCDF 4, TIFF and TensorBoard's event files do. The search looks at the
first and the last 64 MiB, where these formats keep attributes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from pathlib import Path

from hpctrain.provenance.stamp import MOST_BYTES, NO_DIGEST, SCHEMA

_MARK = f'{{"schema":"{SCHEMA.partition("/")[0]}/'.encode()
_DIGEST = b'"content_digest":"'
_WINDOW = 64 << 20
_PIECE = 1 << 22


def find(path: Path) -> tuple[bytes, int] | None:
    """The stamp's text and where it begins, or None.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            at = view.find(_MARK, 0, min(size, _WINDOW))
            if at < 0:
                at = view.find(_MARK, max(0, size - _WINDOW), size)
            if at < 0:
                return None
            text = view[at : at + MOST_BYTES].decode("latin-1")
    try:
        _, length = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return text[:length].encode("latin-1"), at


def seal(path: Path) -> str:
    """Write the digest of a file's content into the stamp amid it; returns the digest.

    The content is the file with zeros where the digest is. Only for formats without check sums of
    their own.

    Raises:
        ValueError: there is no stamp, or one that has a digest.
    """
    found = find(path)
    if found is None:
        raise ValueError("has no stamp")
    text, at = found
    place = text.find(_DIGEST + NO_DIGEST.encode())
    if place < 0:
        raise ValueError("its stamp has a digest, or no place for one")
    digest = _digest(path, None)
    with path.open("r+b") as file:
        file.seek(at + place + len(_DIGEST))
        file.write(digest.encode())
    return digest


def content_digest(path: Path, text: bytes, at: int) -> str:
    """What `seal` computed, of a file that may have been altered since."""
    place = text.find(_DIGEST)
    return _digest(path, at + place + len(_DIGEST) if place >= 0 else None)


def _digest(path: Path, hole: int | None) -> str:
    """sha256 with zeros in place of the 64 bytes at `hole`."""
    sha, zeros, at = hashlib.sha256(), NO_DIGEST.encode(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if hole is not None and at < hole + 64 and hole < at + len(piece):
                start, stop = max(hole - at, 0), min(hole + 64 - at, len(piece))
                part = zeros[start + at - hole : stop + at - hole]
                piece = piece[:start] + part + piece[stop:]
            sha.update(piece)
            at += len(piece)
    return sha.hexdigest()
