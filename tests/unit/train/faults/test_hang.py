"""What signs of ranks that hang mean together."""

import sys
from dataclasses import replace
from pathlib import Path

from hpctrain import comm
from hpctrain.comm import Ranks
from hpctrain.train.faults.hang import Board, Sign, verdict, where

WAITS = Sign(0, "nid0", "step", 1, 4, 46.0, "reducer.py:9 in _finish", True)
HANGS = Sign(1, "nid1", "step", 1, 4, 46.0, "slow.py:3 in forward", False)
HOSTS = ["nid0", "nid1"]


def test_verdict__names_the_rank_that_is_in_no_exchange():
    text = verdict({0: WAITS, 1: HANGS}, HOSTS, Path("logs"))
    assert text.startswith("rank 1 on nid1 hangs in epoch 1, step 4 (step, for 46 s) at slow.py:3")
    assert "the other waits for it; stacks of all ranks are in logs/stacks-*.txt" in text


def test_verdict__of_many_that_seem_to_compute_those_behind_come_first():
    seem = {rank: replace(HANGS, rank=rank) for rank in range(6)}
    seem[5] = replace(HANGS, rank=5, stage="data", step=3)
    assert verdict(seem, HOSTS * 3, Path()).startswith("rank 5 on nid1 hangs in epoch 1, step 3")
    seem[5] = replace(HANGS, rank=5, stage="aside")
    assert verdict(seem, HOSTS * 3, Path()).startswith("rank 5 on nid1 hangs in epoch 1, step 4")


def test_verdict__names_the_rank_that_left_no_sign():
    assert verdict({0: WAITS}, HOSTS, Path("logs")).startswith("rank 1 on nid1: no sign of life")


def test_verdict__all_wait():
    same = {0: WAITS, 1: replace(WAITS, rank=1)}
    assert verdict(same, HOSTS, Path()).startswith("all 2 ranks wait in one exchange in epoch 1")
    other = {0: WAITS, 1: replace(WAITS, rank=1, place="validation.py:7 in _join")}
    assert verdict(other, HOSTS, Path()).startswith("the ranks wait in different exchanges: rank 0")
    behind = {0: WAITS, 1: replace(WAITS, rank=1, step=3)}
    assert "rank 1" in verdict(behind, HOSTS, Path()).split("and is behind the others")[0]


def test_where__innermost_line_outside_of_libraries():
    place, is_waiting = where(sys._getframe())
    assert place.startswith("test_hang.py:")
    assert not is_waiting


def test_where__a_line_of_a_communicator_waits():
    file = Path(comm.__file__).with_name("ddp.py")
    here = {}
    exec(compile("import sys\nframe = sys._getframe()", str(file), "exec"), here)
    assert where(here["frame"])[1]


def test_board__signs_of_another_start_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setenv("HPCTRAIN_LAUNCH_ID", "before")
    old = Board(tmp_path, Ranks(1, 2, 1, 2, "nid1"))
    old.write_sign(HANGS)
    old.say_busy("data 30")
    monkeypatch.setenv("HPCTRAIN_LAUNCH_ID", "now")
    board = Board(tmp_path, Ranks(0, 2, 0, 2, "nid0"))
    assert (board.has_alarm(), board.busy()) == (False, {})
    board.write_sign(WAITS)
    assert board.gather(1) == {0: WAITS}
    board.close()
    old.close()
    assert list(tmp_path.iterdir()) == []


def test_board__on_a_disk_that_takes_nothing(tmp_path):
    """The watchdog must be able to end the job all the same."""
    gone = tmp_path / "gone"
    board = Board(gone, Ranks(0, 2, 0, 1, "nid0"))
    assert board.open_stacks() is sys.stderr
    board.write_sign(WAITS)
    board.say_busy("data 30")
    assert (board.has_alarm(), board.busy()) == (False, {})
    board.close()


def test_board__leaves_no_probe_where_it_looks_past_caches(tmp_path):
    board = Board(tmp_path, Ranks(0, 2, 0, 1, "nid0"))
    assert not board.has_alarm()
    assert list(tmp_path.iterdir()) == []
