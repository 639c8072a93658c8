"""Runs of a study are started one after another; what is done or at work is left alone."""

import json
import os
import socket
import time

import pytest

from hpctrain.study.record import read_runs
from hpctrain.study.running import run_points
from tests.unit.study.builders import page

SCRIPT = '#!/bin/sh\necho "trained" >>"$(dirname "$0")/calls"\n{}\n'
DONE = 'echo \'{"status": "finished"}\' >"$(dirname "$0")/state.json"'


def make(folder, states, end=DONE):
    own = page("rate", ["rising"])
    own["runs"] = [{"name": f"{i:03}", "arm": 0, "seed": i} for i in range(len(states))]
    for run, state in zip(own["runs"], states, strict=True):
        run_dir = folder / "points" / run["name"]
        run_dir.mkdir(parents=True)
        (run_dir / "run.sh").write_text(SCRIPT.format(end))
        (run_dir / "run.sh").chmod(0o755)
        (run_dir / "state.json").write_text(json.dumps(state))
    return own


def calls(folder):
    return [path.parent.name for path in sorted(folder.glob("points/*/calls"))]


def test_run_points__starts_only_what_is_not_done(tmp_path):
    alive = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    states = [
        {"status": "finished"},
        {"status": "failed", "error": "NonFiniteLossError"},
        {"status": "failed", "error": "DataError"},
        {"status": "rendered"},
        {**alive, "updated": time.time()},
    ]
    own, lines = make(tmp_path, states), []
    assert run_points(tmp_path, own, lines.append) == []
    assert calls(tmp_path) == ["002", "003"]
    assert lines[-1].endswith("is running already, and left to that")
    assert [run.is_done for run in read_runs(tmp_path, own)] == [True, True, True, True, False]
    log = next((tmp_path / "points" / "003" / "logs").iterdir())
    assert log.suffix == ".out"


def test_run_points__goes_on_after_a_failure_and_names_it(tmp_path):
    own = make(tmp_path, [{"status": "rendered"}] * 2, end="exit 6")
    assert run_points(tmp_path, own, lambda _: None) == ["000", "001"]


@pytest.mark.parametrize("way", ["file", "code"])
def test_run_points__stops_where_asked(tmp_path, way):
    own = make(tmp_path, [{"status": "rendered"}] * 2, end="exit 75")
    if way == "file":
        (tmp_path / "STOP").touch()
    with pytest.raises(KeyboardInterrupt):
        run_points(tmp_path, own, lambda _: None)
    assert calls(tmp_path) == ([] if way == "file" else ["000"])
