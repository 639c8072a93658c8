"""CSV and JSON on disk, whatever happens to the writer."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index.store import index_paths, load_index, save_index
from hpctrain.index.table import Columns, Index, Row

COLUMNS = Columns(("rgb",), ("note",))
WRITER = """
import itertools, sys
from pathlib import Path
from tests.unit.index.test_store import index
from hpctrain.index.store import save_index
for i in itertools.count():
    save_index(index(i % 2), Path(sys.argv[1]))
    if i == 0:
        print("going", flush=True)
"""


def index(number: int, rows: int = 3000) -> Index:
    made = [Row.make(COLUMNS, id=str(i), rgb=f"{number}.jpg", note=f"{number}" * (number + 1))
            for i in range(rows)]  # fmt: skip
    return Index(Path("/data"), tuple(made), {"rule": {"number": number}}, COLUMNS)


def test_save__gives_back_what_was_written(tmp_path):
    made = index(0, 5)
    assert save_index(made, tmp_path / "sky.csv") is True
    for place in ("sky.csv", "sky.json", "sky"):
        found = load_index(tmp_path / place)
        assert (found.rows, found.root, found.columns) == (made.rows, made.root, COLUMNS)
        assert found.json_text == made.json_text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sky.csv", "sky.json"]


def test_save__same_bytes_are_not_written(tmp_path):
    save_index(index(0), tmp_path)
    before = [p.stat().st_ino for p in index_paths(tmp_path)]
    assert save_index(index(0), tmp_path) is False
    assert [p.stat().st_ino for p in index_paths(tmp_path)] == before


def test_load__an_edited_table_is_named(tmp_path):
    save_index(index(0), tmp_path)
    path = tmp_path / "index.csv"
    path.write_text(path.read_text().replace("0.jpg", "1.jpg", 1))
    with pytest.raises(DataError, match=r"index.csv: altered since it was written.*index build"):
        load_index(tmp_path)


def test_load__between_the_two_renames(tmp_path, monkeypatch):
    save_index(index(0), tmp_path)
    rename = Path.replace

    def stop(self, target):
        if Path(target).suffix == ".csv":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        save_index(index(1), tmp_path)
    assert load_index(tmp_path).rows == index(1).rows
    assert (tmp_path / "index.csv").read_text() == index(0).csv_text
    monkeypatch.undo()
    save_index(index(1), tmp_path)
    assert (tmp_path / "index.csv").read_text() == index(1).csv_text
    assert len(list(tmp_path.iterdir())) == 2


def test_save__killed_at_any_moment_leaves_one_of_the_two(tmp_path):
    texts = {index(n).csv_text for n in (0, 1)}
    draw = random.Random(1)
    hits = 0
    while hits < 5:  # a kill between two writes proves nothing
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"going\n"
            time.sleep(draw.random() / 20)
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        found = load_index(tmp_path)
        assert found.csv_text in texts
        assert found.facts["rule"]["number"] == int(found.rows[0]["note"][0])
        assert (tmp_path / "index.csv").read_text() in texts
        hits += len(list(tmp_path.iterdir())) > 2
    save_index(index(0), tmp_path)
    save_index(index(1), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
