"""The index in a run directory."""

import os

import pytest

from hpctrain.errors import DataError
from hpctrain.index import build_fields_index, read_index, verify_index

from .builders import box, write_boxes


@pytest.fixture
def index(tmp_path):
    return build_fields_index(box(write_boxes(tmp_path / "data", 3)), 2, tmp_path)


@pytest.fixture
def run_dir(tmp_path, index):
    (tmp_path / "index.csv").write_text(index.csv_text)
    (tmp_path / "index.json").write_text(index.json_text)
    return tmp_path


def test_read__gives_what_was_built(run_dir, index):
    found = read_index(run_dir)
    assert found == index
    assert (found.csv_text, found.json_text) == (index.csv_text, index.json_text)


def test_read__altered_table_is_refused(run_dir):
    path = run_dir / "index.csv"
    path.write_text(path.read_text().replace("validation", "train"))
    with pytest.raises(DataError, match="altered since it was written"):
        read_index(run_dir)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"root": "/"}'])
def test_read__malformed_page_is_refused(run_dir, text):
    (run_dir / "index.json").write_text(text)
    with pytest.raises(DataError, match="malformed index"):
        read_index(run_dir)


def test_read__missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"index\.csv: cannot be read"):
        read_index(tmp_path / "gone")


def test_verify__size_content_and_absence(index):
    path = index.root / "f0001.npy"
    verify_index(index, content=True)
    raw = path.read_bytes()
    os.utime(path, ns=(1, 1))
    verify_index(index)  # touched, but the same
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(DataError, match="content has changed"):
        verify_index(index)
    mtime = int(next(row for row in index.rows if row["target"] == path.name)["target_mtime"])
    os.utime(path, ns=(mtime, mtime))
    verify_index(index)
    with pytest.raises(DataError, match="content has changed"):
        verify_index(index, content=True)
    path.write_bytes(raw + b"x")
    with pytest.raises(DataError, match=r"bytes, \d+ when the job was rendered"):
        verify_index(index)
    path.unlink()
    with pytest.raises(DataError, match="was there when the job was rendered"):
        verify_index(index)
