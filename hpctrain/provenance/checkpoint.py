"""A stamp in a checkpoint: one more record at the end of the zip file that torch writes.

torch's own bytes stay as they are, and the stamp says how many they are and their sha256. Readers
of zip files start from the end, so the records are read as before, by `torch.load` too.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from typing import IO

from hpctrain.provenance.stamp import MOST_BYTES

RECORD = "hpctrain_provenance.json"
_END, _END_SIZE = b"PK\5\6", 22
"""Of a zip file without a comment, as torch and we write them."""


class Hashing:
    """A file to write to that hashes what it is given; for writers that never seek."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sha = file, hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write and hash; hashing lets other threads run."""
        self._sha.update(data)
        self._file.write(data)
        length = memoryview(data).nbytes
        self.size += length
        return length

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    @property
    def digest(self) -> str:
        """sha256 of all that was written."""
        return self._sha.hexdigest()


def append(file: IO[bytes], text: str) -> None:
    """Add the record with a stamp to a zip file that is whole.

    Args:
        file: open for reading and writing.
        text: the stamp's.
    """
    end = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        # torch refuses records outside the folder of the others
        folder = archive.namelist()[0].partition("/")[0]
        archive.start_dir = end  # behind the directory, not over it
        archive.writestr(zipfile.ZipInfo(f"{folder}/{RECORD}"), text)


def is_whole(path: str | os.PathLike[str]) -> bool:
    """Whether a zip file ends where its directory says.

    torch's own directory lies amid a stamped file, so that one whose stamp is cut off would look
    like a whole file without a stamp.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _END_SIZE))
        return file.read().startswith(_END)


def read_text(path: str | os.PathLike[str]) -> bytes | None:
    """The stamp's text of a zip file, or None; nothing else of the file is read.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is torn, or the record is damaged.
    """
    if not is_whole(path):
        raise zipfile.BadZipFile("its last bytes are missing")
    with zipfile.ZipFile(path) as archive:
        for info in reversed(archive.infolist()):
            if info.filename.endswith(f"/{RECORD}"):
                if info.file_size > MOST_BYTES or info.compress_type != zipfile.ZIP_STORED:
                    raise zipfile.BadZipFile("its stamp is no stamp of hpctrain")
                return archive.read(info)
    return None
