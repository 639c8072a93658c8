"""What failing ranks say, together: one message."""

import json

import pytest

from hpctrain.comm import Ranks
from hpctrain.errors import BusyError, DataError, TrainError
from hpctrain.train.faults import failure

FIRST, SECOND = (Ranks(rank, 2, rank, 2, "nid1") for rank in (0, 1))
ECHO = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711")


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HPCTRAIN_LAUNCH_ID", "now")
    monkeypatch.setattr(failure, "_OTHERS_SPEAK_FIRST_S", 0.01)
    (tmp_path / "config.yaml").touch()
    (tmp_path / "state.json").write_text('{"status": "running"}')
    return tmp_path


def state(run_dir):
    return json.loads((run_dir / "state.json").read_text())


def errors(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def heard(monkeypatch):
    """The package's log does not propagate once a trainer has set it up."""
    monkeypatch.setattr("hpctrain.log.logger.propagate", True)


def test_report__same_error_on_all_ranks_is_told_once(run_dir, caplog):
    assert failure.report(DataError("step1.nc: truncated"), FIRST, run_dir) == 2
    assert failure.report(DataError("step1.nc: truncated"), SECOND, run_dir) == 2
    assert errors(caplog) == ["step1.nc: truncated"]
    assert state(run_dir)["message"] == "[rank 0/2 nid1] step1.nc: truncated"
    assert state(run_dir)["exit_code"] == 2


def test_report__error_of_one_rank_with_its_name(run_dir, caplog):
    failure.report(DataError("step1.nc: truncated"), SECOND, run_dir)
    assert errors(caplog) == ["step1.nc: truncated"]
    assert state(run_dir)["message"] == "[rank 1/2 nid1] step1.nc: truncated"


def test_report__broken_exchange_after_a_told_error_is_silent(run_dir, caplog):
    failure.report(ValueError("bug"), SECOND, run_dir)
    assert failure.report(ECHO, FIRST, run_dir) == 6
    assert len(errors(caplog)) == 1
    assert errors(caplog)[0].startswith("ValueError: bug\nValueError: bug")  # the traceback
    assert state(run_dir)["message"] == "[rank 1/2 nid1] ValueError: bug"


def test_report__broken_exchange_alone_says_what_to_look_for(run_dir, caplog):
    failure.report(ECHO, FIRST, run_dir)
    assert "another rank has left" in errors(caplog)[0]
    assert "Traceback" not in errors(caplog)[0]


def test_report__failure_of_an_earlier_start_does_not_count(run_dir):
    (run_dir / "state.json").write_text(
        json.dumps({"status": "failed", "launch_id": "before", "message": "old"})
    )
    failure.report(TrainError("new"), SECOND, run_dir)
    assert state(run_dir)["message"] == "[rank 1/2 nid1] new"


def test_report__another_start_keeps_its_state(run_dir):
    before = state(run_dir)
    assert failure.report(BusyError("is training already"), FIRST, run_dir) == 5
    assert state(run_dir) == before


def test_report__full_disk_is_no_second_error(run_dir, caplog):
    (run_dir / "state.json").unlink()
    (run_dir / "state.json").mkdir()
    assert failure.report(TrainError("no room"), FIRST, run_dir) == 6
    assert errors(caplog) == ["no room"]
