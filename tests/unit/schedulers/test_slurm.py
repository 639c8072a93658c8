"""Slurm's commands and answers, as recorded from Slurm 22.05.8."""

import time
from pathlib import Path

import pytest

from hpctrain.schedulers.base import Handing
from hpctrain.schedulers.slurm import SlurmScheduler

RECORDED = Path(__file__).parent / "recorded"
SLURM = SlurmScheduler()


@pytest.fixture(scope="module")
def queue():
    return SLURM.parse_states((RECORDED / "squeue.txt").read_text())


@pytest.fixture(scope="module")
def records():
    return SLURM.parse_states((RECORDED / "sacct.txt").read_text())


def test_submit_command__plain():
    assert SLURM.submit_command("/r/run.slurm") == ["sbatch", "/r/run.slurm"]


def test_submit_command__all_at_once():
    how = Handing([("1", "ok"), ("2", "any"), ("3", "ok"), ("4", "failed")], True, {"A": "x y;$z"})
    assert SLURM.submit_command("r", how) == [
        *("env", "A=x y;$z", "sbatch", "--hold"),
        "--dependency=afterok:1:3,afterany:2,afternotok:4",
        "--kill-on-invalid-dep=yes",
        "r",
    ]


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        ("Submitted batch job 123\n", "123"),
        ("Submitted batch job 123 on cluster b\n", "123"),
        ("--> Verifying valid submit host (login1)...OK\n\nSubmitted batch job 77\n", "77"),
        ("123;bench\n", "123"),
        ("123\n", "123"),
        ("", None),
        ("sbatch: 12 nodes are idle\n", None),
    ],
)
def test_parse_job_id(text, job_id):
    assert SLURM.parse_job_id(text) == job_id


@pytest.mark.parametrize(
    ("job_id", "state", "word", "reason"),
    [
        ("27", "held", "PENDING", "JobHeldUser"),
        ("28", "waiting", "PENDING", "Dependency"),
        ("30", "waiting", "PENDING", "PartitionDown"),
        ("32", "waiting", "PENDING", "BeginTime"),
        ("29", "running", "RUNNING", ""),
        ("31", "running", "RUNNING", ""),
        ("34", "ended", "COMPLETED", ""),
        ("5", "ended", "FAILED", "NonZeroExitCode"),
        ("38", "ended", "CANCELLED", "DependencyNeverSatisfied"),
        ("33", "ended", "CANCELLED", ""),
    ],
)
def test_parse_states__queue(queue, job_id, state, word, reason):
    status = queue[job_id]
    assert (status.state, status.word, status.reason) == (state, word, reason)


def test_parse_states__exit_codes_and_signals(queue):
    assert (queue["5"].exit_code, queue["5"].signal) == (3, 0)
    assert (queue["7"].exit_code, queue["7"].signal) == (137, 9)
    assert (queue["6"].exit_code, queue["6"].signal) == (181, 53)  # no folder for the output
    assert queue["29"].exit_code is None


def test_parse_states__times_and_nodes(queue):
    running = queue["29"]
    assert running.ends - running.started == 600
    assert time.strftime("%H:%M:%S", time.localtime(running.started)) == "11:38:12"
    assert running.nodes == "nid01"
    assert queue["32"].started is None


def test_parse_states__records_of_ended_jobs(records):
    assert {k: (v.word, v.exit_code) for k, v in records.items() if v.state == "ended"} == {
        "101": ("COMPLETED", 0),
        "102": ("TIMEOUT", 0),
        "103": ("CANCELLED", 143),
        "104": ("OUT_OF_MEMORY", 253),
        "105": ("FAILED", 6),
    }
    assert records["106"].state == "waiting"
    assert records["106"].nodes == ""


def test_parse_states__array_that_failed_in_part():
    line = "8_{}|{}|{}|N/A|N/A||None|\n"
    text = line.format(0, "COMPLETED", 0) + line.format(1, "FAILED", 256)
    assert SLURM.parse_states(text)["8"].exit_code == 1
    text += line.format("[2-9]", "PENDING", 0)
    assert SLURM.parse_states(text)["8"].state == "waiting"


@pytest.mark.parametrize("text", ["hello", "1|RUNNING", "<html>", "x|RUNNING|0|a|b|c|d|"])
def test_parse_states__nonsense(text):
    with pytest.raises(ValueError, match="."):
        SLURM.parse_states(text)


def test_is_unknown():
    assert SLURM.is_unknown("slurm_load_jobs error: Invalid job id specified\n")
    assert SLURM.is_unknown("Slurm accounting storage is disabled\n")
    assert not SLURM.is_unknown("slurm_load_jobs error: Unable to contact slurm controller\n")


@pytest.mark.parametrize(
    ("reason", "cause", "fix"),
    [
        ("Resources", "waits for nodes", "nothing"),
        ("JobHeldUser", "its owner holds it", "hpctrain release RUN"),
        ("DependencyNeverSatisfied", "can never start", "hpctrain cancel RUN"),
        ("ReqNodeNotAvail, UnavailableNodes:nid[01-02]", "reserved, drained or down", "walltime"),
        ("PartitionTimeLimit", "longer than its partition", "chain:"),
        ("AssocGrpCPUMinutesLimit", "allocation of time", "account"),
        ("QOSMaxJobsPerUserLimit", "limit of this account, QOS or user", "wait"),
        ("QOSMaxWallDurationPerJobLimit", "never start", "ask for less"),
        ("AssocMaxJobsLimit", "limit", "wait"),
        ("MaxGRESPerAccount", "limit", "wait"),
        ("BeginTime", "start time", "nothing"),
        ("launch failed requeued held", "failed to start", "log folder"),
    ],
)
def test_explain(reason, cause, fix):
    (status,) = SLURM.parse_states(f"1|PENDING|0|N/A|N/A||{reason}|").values()
    advice = SLURM.explain(status)
    assert cause in advice.cause
    assert fix in advice.fix


def test_explain__a_reason_that_is_not_in_the_table():
    (status,) = SLURM.parse_states("1|PENDING|0|N/A|N/A||BrandNew|").values()
    assert SLURM.explain(status).cause == "the job waits in the queue"


def test_parse_states__elements_of_an_array(queue):
    assert {k: v.state for k, v in queue.items() if k.startswith("31")} == {
        "31": "running",
        "31_0": "running",
        "31_1": "running",
        **{f"31_{n}": "waiting" for n in (2, 3, 4, 5)},
    }
    found = SLURM.parse_states("9_[1,3-4%2]|PENDING|0||||Priority|")
    assert set(found) == {"9", "9_1", "9_3", "9_4"}


def test_element():
    assert SLURM.element("9", 3) == "9_3"
