"""Files that have their name only once they are whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hpctrain.formats.whole_file import WholeFile


def test_finish__gives_the_name_and_tells_size_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    file = WholeFile(path)
    for piece in (b"one", b"two"):
        file.write(piece)
        assert not path.exists()
    assert file.finish() == (6, hashlib.sha256(b"onetwo").hexdigest())
    file.close()
    assert path.read_bytes() == b"onetwo"
    assert list(path.parent.iterdir()) == [path]


def test_close__leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    file = WholeFile(path)
    file.write(b"new")
    file.close()
    file.close()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_finish__of_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing was written"):
        WholeFile(tmp_path / "b.bin").finish()
    assert not list(tmp_path.iterdir())
