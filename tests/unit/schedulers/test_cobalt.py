"""Cobalt's commands and answers."""

import time
from pathlib import Path

import pytest

from hpctrain.schedulers.base import Handing
from hpctrain.schedulers.cobalt import CobaltScheduler

COBALT = CobaltScheduler()


@pytest.fixture(scope="module")
def jobs():
    return COBALT.parse_states(
        (Path(__file__).parent / "recorded" / "cobalt_qstat.txt").read_text()
    )


def test_submit_command__options_stand_before_the_script():
    how = Handing([("1", "ok"), ("2", "ok")], True, {"A": "1", "B": "2"})
    assert COBALT.submit_command("r", how) == [
        *("qsub", "-h", "--dependencies", "1:2", "--env", "A=1:B=2", "r")
    ]


@pytest.mark.parametrize(("text", "job_id"), [("  123\n", "123"), ("Auto\n9\n", "9"), ("x", None)])
def test_parse_job_id(text, job_id):
    assert COBALT.parse_job_id(text) == job_id


def test_parse_states(jobs):
    assert {k: v.state for k, v in jobs.items()} == {
        "101": "running",
        "102": "held",
        "103": "waiting",
    }
    assert jobs["101"].ends == pytest.approx(time.time() + 600, abs=60)
    assert jobs["101"].nodes == "thetagpu[01-02]"
    assert jobs["102"].started is None


@pytest.mark.parametrize("text", ["hello\n", "JobID: 1\n", "State : running\n"])
def test_parse_states__nonsense(text):
    with pytest.raises(ValueError, match="."):
        COBALT.parse_states(text)


def test_parse_states__an_ended_job_is_not_there():
    assert COBALT.parse_states("") == {}
    assert COBALT.is_unknown("")
    assert not COBALT.is_unknown("Failed to connect to queue manager")


def test_explain__a_failed_dependency(jobs):
    advice = COBALT.explain(jobs["102"])
    assert "failed" in advice.cause
    assert "qrls --dependencies" in advice.fix
