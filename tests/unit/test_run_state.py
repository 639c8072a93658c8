"""What state.json says, and whether it can be true."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from hpctrain import run_state

NOW = 1_760_000_000.0


def state(tmp_path, **fields):
    (tmp_path / "state.json").write_text(json.dumps(fields))
    return run_state.read(tmp_path)


@pytest.mark.parametrize("status", ["rendered", "stopped", "finished", "failed"])
def test_verdict__quiet_states_are_taken_at_their_word(tmp_path, status):
    assert state(tmp_path, status=status, pid=2**22 + 1, updated=1.0).verdict() == status


def test_verdict__own_process_runs(tmp_path):
    here = socket.gethostname()
    running = state(tmp_path, status="running", pid=os.getpid(), host=here, updated=time.time())
    assert running.verdict() == "running"


def test_verdict__gone_process_died(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = state(tmp_path, status="running", pid=process.pid, host=socket.gethostname())
    assert gone.verdict() == "died"


def test_verdict__zombie_died(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    zombie = state(tmp_path, status="running", pid=process.pid, host=socket.gethostname())
    assert zombie.verdict() == "died"
    process.communicate()


def test_verdict__number_of_the_process_went_to_another(tmp_path):
    here = socket.gethostname()
    old = state(tmp_path, status="running", pid=os.getpid(), host=here, updated=NOW - 1e6)
    assert old.verdict() == "died"


def test_verdict__other_host_is_silent_after_five_minutes(tmp_path):
    other = state(tmp_path, status="running", pid=1, host="nid9999", updated=NOW)
    assert other.verdict(NOW + 299) == "running"
    assert other.verdict(NOW + 301) == "silent"


def test_verdict__starting_without_a_process_yet(tmp_path):
    starting = state(tmp_path, status="starting")
    assert starting.verdict() == "starting"
    assert starting.verdict(time.time() + 400) == "silent"


def test_verdict__starting_again_is_not_the_process_of_the_start_before(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = socket.gethostname()
    again = state(tmp_path, status="starting", pid=process.pid, host=here, updated=NOW - 1e6)
    assert again.verdict() == "starting"


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "not JSON"), ('{"status": "run', "not JSON"), ("[]", "no 'status'"),
     ('{"status": 3}', "no 'status'"), ("\udcff", "not JSON"), (None, "missing")],
)  # fmt: skip
def test_read__damaged_file_is_a_problem_not_an_error(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "state.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    found = run_state.read(tmp_path)
    assert problem in found.problem
    assert found.verdict() == "unreadable"


def test_read__wrong_types_are_unknown(tmp_path):
    odd = state(
        tmp_path, status="finished", epoch="x", loss="nan", step=True, eta_s=[1], host="a\nb"
    )
    assert [odd.number(k) for k in ("epoch", "loss", "step", "eta_s")] == [None] * 4
    assert odd.text("host") == "a b"


@pytest.mark.parametrize(
    ("recorded", "loss"),
    [(0.5, 0.5), ({"discriminator": 8.0, "generator": 0.25}, 0.25), ({"content": 3.0}, 3.0),
     ({}, None), ("nan", None), ({"generator": "nan"}, None)],
)  # fmt: skip
def test_loss__one_number_of_one_or_several(tmp_path, recorded, loss):
    assert state(tmp_path, status="running", loss=recorded).loss == loss


def test_step__of_the_whole_training(tmp_path):
    assert state(tmp_path, status="running", step=3, global_step=43).step == 43
    assert state(tmp_path, status="running", step=3).step == 3


def test_find__runs_by_name_and_nothing_else(tmp_path):
    for name in ("b", "a", "no_run"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "state.json").write_text("{}")
    (tmp_path / "a" / "config.yaml").write_text("")
    (tmp_path / "mantle.yaml").write_text("")
    assert [p.name for p in run_state.find(tmp_path)] == ["a", "b"]
    assert run_state.find(tmp_path / "a") == [tmp_path / "a"]
    assert run_state.find(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (125.4, "2:05"), (3661, "1:01:01"), (200_000, "2 d 07 h"), (-3, "0:00")],
)
def test_duration__hours_minutes_seconds(seconds, text):
    assert run_state.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8, "8 s"), (725, "12 min"), (8000, "2 h"), (500_000, "5 d"), (-1, "0 s")]
)
def test_age__largest_unit(seconds, text):
    assert run_state.age(seconds) == text
