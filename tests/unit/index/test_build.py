"""Builds of the same folder one after another, and what they read."""

import os
import threading

import pytest

from hpctrain.errors import DataError
from hpctrain.index.files import pool
from hpctrain.index.files.facts import FactCache, facts_path
from hpctrain.index.files.reading import read_file
from hpctrain.index.files.scan import scan

from .sky import built, reasons, table, write_pair, write_pairs


@pytest.fixture
def root(tmp_path):
    write_pairs(tmp_path / "data", 6)
    age(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read."""
    names = []

    def record(root, root_fd, name, level, inspect=None):
        names.append(name)
        return read_file(root, root_fd, name, level, inspect)

    monkeypatch.setattr(pool, "read_file", record)
    return names


def age(root):
    """Files that were written a moment ago are read again; let these be older."""
    for path in root.rglob("*.*"):
        status = path.stat()
        os.utime(path, ns=(status.st_mtime_ns - 10**9, status.st_mtime_ns - 10**9))


def test_build__same_files_give_the_same_bytes(root):
    first = built(root)
    again = built(root)
    facts_path(root).unlink()
    fresh = built(root)
    assert first.csv_text == again.csv_text == fresh.csv_text
    assert first.json_text == fresh.json_text


def test_build__unchanged_files_are_not_read_again(root, read):
    built(root)
    assert len(read) == 12
    read.clear()
    built(root)
    assert read == []
    rgb, thermal = write_pair(root, 9)
    old = next(root.glob("thermal/*/*position3.csv"))
    old.write_text(table(77))
    os.utime(old, ns=(1, 1))
    built(root)
    assert sorted(read) == sorted(str(p.relative_to(root)) for p in (rgb, thermal, old))


def test_build__same_size_and_time_but_another_file(root, read):
    built(root)
    old = next(root.glob("rgb/*/*.jpg"))
    status, raw = old.stat(), old.read_bytes()
    other = old.with_name("other")
    other.write_bytes(raw[:-3] + b"\0\xff\xd9")
    other.replace(old)
    os.utime(old, ns=(status.st_mtime_ns, status.st_mtime_ns))
    read.clear()
    built(root)
    assert read == [str(old.relative_to(root))]


def test_build__file_written_a_moment_ago_is_not_relied_on(root, read):
    path, _ = write_pair(root, 0)
    os.utime(path)
    built(root)
    read.clear()
    built(root)
    assert str(path.relative_to(root)) in read


def test_build__does_not_depend_on_an_earlier_better_look(root, read):
    quick = built(root).csv_text
    built(root, inspect="none")
    assert len(read) == 12
    assert built(root).csv_text == quick


def test_cache__torn_and_foreign_lines_only_cost_a_reading(root, read):
    whole = built(root).csv_text
    path = facts_path(root)
    raw = path.read_bytes()
    path.write_bytes(b"nonsense\n\xff\xfe\t\t\n" + raw[:-30])
    read.clear()
    assert built(root).csv_text == whole
    assert len(read) == 1
    read.clear()
    built(root)
    assert read == []


def test_cache__is_compacted(root, monkeypatch):
    built(root)
    size = facts_path(root).stat().st_size
    monkeypatch.setattr("hpctrain.index.files.facts._SPARE", 0)
    for _ in range(4):
        for path in root.rglob("*.jpg"):
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
        built(root)
    assert facts_path(root).stat().st_size < 3 * size
    assert len(FactCache(root).lines) == 12


@pytest.mark.parametrize("what", ["file", "folder"])
def test_cache__that_cannot_be_written_is_no_error(root, cache_home, what):
    if what == "file":
        (cache_home / "hpctrain").write_text("in the way")
    else:
        facts_path(root).mkdir(parents=True)
    assert built(root).csv_text == built(root).csv_text


def test_pool__processes_give_the_same(root, monkeypatch):
    few = built(root).csv_text
    facts_path(root).unlink()
    monkeypatch.setattr(pool, "_FEW", 0)
    monkeypatch.setattr(pool, "_BLOCK_NAMES", 2)
    assert built(root).csv_text == few


def test_pool__lost_process_is_an_error_and_leaves_no_thread(root, monkeypatch):
    monkeypatch.setattr(pool, "_FEW", 0)
    monkeypatch.setattr(pool.sys, "executable", "/bin/false")
    before = threading.active_count()
    with pytest.raises(DataError, match="ended before its work was done"):
        built(root)
    assert threading.active_count() == before


def test_build__unreadable_file_keeps_its_row(root):
    rgb, _ = write_pair(root, 3)
    rgb.unlink()
    rgb.symlink_to("nowhere")
    (reason,) = reasons(built(root)).values()
    assert reason == "unreadable: No such file or directory"


def test_build__large_files_are_read_by_pieces(tmp_path, monkeypatch):
    import hashlib

    monkeypatch.setattr("hpctrain.index.files.reading.WHOLE", 10)
    write_pairs(tmp_path, 1)
    row = built(tmp_path).rows[0]
    assert row["rgb_sha256"] == hashlib.sha256((tmp_path / row["rgb"]).read_bytes()).hexdigest()
    assert row.status == "ok"


@pytest.mark.parametrize("mark", ["\x85", "\u2028"], ids=ascii)
def test_build__line_ends_in_names_are_refused(root, mark):
    (root / f"rgb/W02D/a{mark}b.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="an index cannot hold the name"):
        built(root)


def test_facts__names_may_hold_other_line_ends(root):
    cache = FactCache(root)
    cache.add("a\x85b\t1\t2\t3\t4\tnone\t\t\t\n".encode())
    cache.close()
    assert list(cache.lines) == ["a\x85b"]


def test_build__link_to_a_folder_above_is_followed_no_further(root):
    before = [row["rgb"] for row in built(root).rows]
    (root / "rgb/W02D/loop").symlink_to("..")
    assert [row["rgb"] for row in built(root).rows] == before
    for name in ("one", "two"):  # the same folder twice, but not within itself
        (root / f"rgb/{name}").symlink_to("W02D")
    assert len(scan(root, "rgb/**/*.jpg", "")) == 3 * len(before)


def test_build__data_one_folder_further_down_are_named(root):
    with pytest.raises(DataError, match=rf"but below data/; give {root}$"):
        built(root.parent)
