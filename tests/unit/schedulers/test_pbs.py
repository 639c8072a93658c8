"""PBS' commands and answers."""

from pathlib import Path

import pytest

from hpctrain.schedulers.base import Handing, JobStatus
from hpctrain.schedulers.pbs import PbsScheduler

PBS = PbsScheduler()


@pytest.fixture(scope="module")
def jobs():
    return PBS.parse_states((Path(__file__).parent / "recorded" / "qstat.json").read_text())


def test_submit_command__plain():
    assert PBS.submit_command("/r/run.pbs") == ["qsub", "/r/run.pbs"]


def test_submit_command__all_at_once():
    how = Handing([("1.s", "ok"), ("2.s", "any"), ("3.s", "ok")], True, {"N": "2"})
    assert PBS.submit_command("r", how) == [
        *("qsub", "-h", "-W", "depend=afterok:1.s:3.s,afterany:2.s", "-v", "N=2", "r")
    ]


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        ("123.pbs01.lab.gov\n", "123.pbs01.lab.gov"),
        ("123[].pbs01\n", "123[].pbs01"),
        ("Welcome to 2.0\n123.pbs-01\n", "123.pbs-01"),
        ("qsub: waiting for job 1.x to start\n", None),
        ("", None),
    ],
)
def test_parse_job_id(text, job_id):
    assert PBS.parse_job_id(text) == job_id


@pytest.mark.parametrize(
    ("job_id", "state", "reason"),
    [
        ("1.pbs01", "waiting", "Not Running: Not enough free nodes available"),
        ("3.pbs01", "waiting", "depend=afterok:2.pbs01@pbs01"),
        ("4.pbs01", "held", "Job held by user4 on Mon Oct  3 20:16:26 2022"),
        ("8[].pbs01", "running", ""),
    ],
)
def test_parse_states__live(jobs, job_id, state, reason):
    assert (jobs[job_id].state, jobs[job_id].reason) == (state, reason)


def test_parse_states__odd_backslashes_of_variables_do_no_harm(jobs):
    assert jobs["2.pbs01"].ends - jobs["2.pbs01"].started == 1800
    assert jobs["2.pbs01"].nodes == "n1/0*4+n2/0*4"


def test_parse_states__ended(jobs):
    ended = {k: (v.exit_code, v.signal) for k, v in jobs.items() if v.state == "ended"}
    assert ended == {"5.pbs01": (0, 0), "6.pbs01": (143, 15), "7.pbs01": (-29, 0)}
    assert jobs["5.pbs01"].ends - jobs["5.pbs01"].started == 3600


@pytest.mark.parametrize("text", ["hello", "[]", '{"Jobs": 3}', '{"Jobs": {"1": 2}}', '{"Jo'])
def test_parse_states__nonsense(text):
    with pytest.raises(ValueError, match="."):
        PBS.parse_states(text)


def test_parse_states__nothing():
    assert PBS.parse_states("") == {}


def test_is_unknown():
    assert PBS.is_unknown("qstat: Unknown Job Id 1.x\nqstat: 2.x Job has finished, use -x or -H\n")
    assert not PBS.is_unknown("qstat: Unknown Job Id 1.x\nqstat: cannot connect to server (15010)")


@pytest.mark.parametrize(
    ("comment", "cause", "fix"),
    [
        ("job held, too many failed attempts to run", "log is missing", "make RUN/logs"),
        ("Job held by user4 on Mon Oct  3 20:16:26 2022", "holds it", "hpctrain release RUN"),
        ("Can Never Run: Insufficient amount of resource: ncpus (R: 256 A: 64 T: 64)",
         "more than the machine has", "lower"),
        ("Can Never Run: Not enough total nodes available", "more than the machine", "lower"),
        ("Not Running: Insufficient amount of resource: ncpus (R: 2 A: 1 T: 2)", "busy", "nothing"),
        ("Not Running: Not enough free nodes available", "busy", "nothing"),
        ("Not Running: Job would conflict with reservation or top job", "kept for", "walltime"),
        ("Not Running: Queue not started.", "starts no jobs", "another"),
        ("Not Running: User has reached queue prod running job limit.", "limit", "wait"),
        ("Not Running: would exceed user u's limit on resource ngpus in queue q", "limit", "wait"),
        ("Not Running: Node is in an ineligible state: down", "down", "wait"),
        ("Not Running: Queue not started. and terminated", "deleted", "hand it in again"),
        ("depend=afterok:2.pbs01", "another job", "nothing"),
    ],
)  # fmt: skip
def test_explain(comment, cause, fix):
    advice = PBS.explain(JobStatus("1", "waiting", "Q", comment))
    assert cause in advice.cause
    assert fix in advice.fix


def test_element():
    assert PBS.element("9[].pbs01", 3) == "9[3].pbs01"
