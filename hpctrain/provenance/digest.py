"""sha256 of a file, read by pieces; for all rooms."""

from __future__ import annotations

import hashlib
import os

_PIECE = 1 << 22


def digest_of(path: str | os.PathLike[str], size: int | None = None) -> str:
    """sha256 of a file, or of its first bytes, in hexadecimal.

    Args:
        path: the file.
        size: how many bytes; None: those that it has now, should it grow meanwhile.

    Raises:
        OSError: it cannot be read.
    """
    sha = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size if size is None else size
        while left > 0 and (piece := file.read(min(_PIECE, left))):
            sha.update(piece)
            left -= len(piece)
    return sha.hexdigest()
