"""Files of bad samples are moved away and back; nothing is lost, doubled or overwritten."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest

from hpctrain.errors import DataError
from hpctrain.index import quarantine
from hpctrain.index.quarantine import move_bad, restore_bad

from .sky import built, reasons, write_pair, write_pairs

MOVER = """
import pickle, sys
from hpctrain.index import quarantine
index = pickle.load(open(sys.argv[1], "rb"))
print("going", flush=True)
for _ in range(200):
    quarantine.move_bad(index)
    quarantine.restore_bad(index.root)
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    write_pairs(root, 3)
    for number in range(3, 9):
        write_pair(root, number, thermal_position="9")
    return root


def content(root):
    """Content of each data file by its path, also of those in bad_pairs/; index and journal out."""
    found = {}
    for path in sorted(root.rglob("*.*")):
        if path.suffix in (".jpg", ".csv") and path.is_file():
            name = str(path.relative_to(root)).removeprefix("bad_pairs/")
            assert name not in found, f"{name} is there twice"
            found[name] = path.read_bytes()
    return found


def test_move__and_back(root):
    before = content(root)
    index = built(root)
    assert move_bad(index) == 12
    assert content(root) == before
    assert len(list(root.glob("bad_pairs/rgb/W02D/*.jpg"))) == 6
    moved = built(root)
    assert reasons(moved) == reasons(index)
    assert [r.id for r in moved.rows] == [r.id for r in index.rows]
    assert moved.rows[5]["rgb"].startswith("bad_pairs/rgb/")
    assert move_bad(moved) == 0
    assert restore_bad(root) == 12
    assert content(root) == before
    assert not (root / "bad_pairs").exists()
    assert built(root).csv_text == index.csv_text


def test_move__sample_that_a_milder_rule_would_take_stays_out(root):
    move_bad(built(root))
    found = reasons(built(root, positions="any"))
    assert set(found.values()) == {"moved"}


def test_move__never_overwrites(root):
    index = built(root)
    taken = root / "bad_pairs" / index.rows[4]["rgb"]
    taken.parent.mkdir(parents=True)
    taken.write_text("somebody's")
    with pytest.raises(DataError, match="nothing was moved, as there is a file already: bad_pairs"):
        move_bad(index)
    assert taken.read_text() == "somebody's"
    taken.unlink()
    move_bad(index)
    (root / index.rows[4]["rgb"]).write_text("new")
    with pytest.raises(DataError, match="nothing was moved"):
        restore_bad(root)
    assert taken.is_file()


def test_move__file_of_a_usable_sample_stays(root):
    index = built(root)
    rows = list(index.rows)
    rows[0] = rows[0].replace(rgb=rows[4]["rgb"])
    from dataclasses import replace

    move_bad(replace(index, rows=tuple(rows)))
    assert (root / rows[4]["rgb"]).is_file()
    assert not (root / rows[4]["thermal"]).exists()


def test_move__lists_that_others_put_aside_stay(root):
    aside = root / "bad_pairs/W02D/x.txt"
    aside.parent.mkdir(parents=True)
    aside.write_text("a\nb\n")
    move_bad(built(root))
    restore_bad(root)
    assert [p.name for p in (root / "bad_pairs").rglob("*.*")] == ["x.txt"]


def test_move__where_there_are_no_hard_links(root, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(1, "Operation not permitted")

    before = content(root)
    monkeypatch.setattr(quarantine.os, "link", refuse)
    move_bad(built(root))
    assert content(root) == before
    restore_bad(root)
    assert content(root) == before


def test_move__interrupted_between_link_and_removal(root):
    before = content(root)
    index = built(root)
    move_bad(index)
    target = next((root / "bad_pairs").rglob("*.jpg"))
    source = root / target.relative_to(root / "bad_pairs")
    os.link(target, source)
    built(root)
    assert not source.exists()
    assert content(root) == before


def test_move__killed_at_any_moment(root):
    before, made = content(root), built(root)
    (root / "made").write_bytes(pickle.dumps(made))
    draw = random.Random(2)
    hits = 0
    while hits < 5:  # a kill while everything was back where it came from proves nothing
        mover = subprocess.Popen(
            [sys.executable, "-c", MOVER, str(root / "made")], stdout=subprocess.PIPE
        )
        try:
            assert mover.stdout is not None
            assert mover.stdout.readline() == b"going\n"
            time.sleep(draw.random() / 30)
        finally:
            mover.send_signal(signal.SIGKILL)
            mover.communicate()
        hits += (root / quarantine.JOURNAL).exists()
        index = built(root)  # ends what was half done
        assert content(root) == before
        assert len(reasons(index)) == 6
    restore_bad(root)
    assert built(root).csv_text == made.csv_text


def test_move__links_stay_where_they_lead_from(tmp_path):
    root = tmp_path / "data"
    rgb, thermal = write_pair(root, 0, thermal_position="9")
    write_pair(root, 1)
    real = tmp_path / "archive" / rgb.name
    real.parent.mkdir()
    rgb.rename(real)
    rgb.symlink_to(os.path.relpath(real, rgb.parent))
    assert move_bad(built(root)) == 1
    assert rgb.read_bytes() == real.read_bytes()
    assert not thermal.exists()
    assert list(reasons(built(root)).values()) == ["unequal-positions: 3 and 9"]
    assert restore_bad(root) == 1
    assert thermal.is_file()
