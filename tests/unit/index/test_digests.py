"""Digests and their cache."""

import hashlib
import os

import pytest

from hpctrain.errors import DataError
from hpctrain.index.digests import cache_path, digests, sha256_of


def replace_in_place(path, text):
    """Change the content but not size, time of change or inode."""
    status = path.stat()
    path.write_text(text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_digests__equal_hashlib_over_several_pieces(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(os.urandom((1 << 20) * 2 + 5))
    assert digests([path]) == {path: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_digests__unchanged_file_is_not_read_again(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    first = digests([path])
    replace_in_place(path, "two")
    assert digests([path]) == first
    os.utime(path, ns=(1, 1))
    assert digests([path])[path] == hashlib.sha256(b"two").hexdigest()


def test_digests__torn_cache_is_only_slow(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    cache_path().parent.mkdir(parents=True)
    for text in ("{torn", "[]", '{"x": 3}'):
        cache_path().write_text(text)
        assert digests([path])[path] == hashlib.sha256(b"one").hexdigest()


def test_digests__cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(digests([tmp_path / "file"])) == 1


def test_digests__entries_of_other_files_are_kept(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
        digests([tmp_path / name])
    assert cache_path().read_text().count(str(tmp_path)) == 2


def test_digests__missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="gone: cannot be read"):
        sha256_of(tmp_path / "gone")


def test_digests__large_reads_are_announced(tmp_path, monkeypatch):
    monkeypatch.setattr("hpctrain.index.digests.ANNOUNCED_BYTES", 999_999)
    lines = []
    (tmp_path / "big").write_bytes(bytes(1_000_000))
    for _ in range(2):
        digests([tmp_path / "big"], lines.append)
    assert lines == ["reading 0.0 GB once to fingerprint 1 files"]
