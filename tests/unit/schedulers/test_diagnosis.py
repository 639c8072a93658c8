"""Why: what the sources say together."""

import socket
import time

import pytest

from hpctrain.schedulers.base import JobStatus
from hpctrain.schedulers.diagnosis import diagnose
from hpctrain.schedulers.overview import RunJob
from tests.queues import handed_in, set_state


def job(state: str, word: str = "", reason: str = "", code: int | None = None) -> RunJob:
    return RunJob("7", JobStatus("7", state, word, reason, exit_code=code))


def log(run, text: str) -> None:
    (run / "logs" / "7.out").write_text(text)


def test_diagnose__never_handed_in(runs):
    run = runs()
    found = diagnose(run, None)
    assert found.what == "never started"
    assert found.fix == f"hand it in: hpctrain submit {run}"


def test_diagnose__pending(runs):
    found = diagnose(runs(), job("waiting", "PENDING", "ReqNodeNotAvail"))
    assert found.what == "job 7 is waiting"
    assert found.because == ("slurm: ReqNodeNotAvail",)
    assert "maintenance" in found.cause


def test_diagnose__held(runs):
    run = runs("p", "generic-pbs")
    found = diagnose(run, job("held", "H", "job held, too many failed attempts to run"))
    assert "missing or not writable" in found.cause
    assert found.fix.startswith(f"make {run}/logs")


def test_diagnose__running(runs):
    run = runs()
    set_state(run, status="running", host="n1", updated=time.time())
    found = diagnose(run, job("running", "RUNNING"))
    assert (found.what, found.cause) == ("running in job 7", "nothing is wrong")


def test_diagnose__silent(runs):
    run = runs()
    set_state(run, status="running", host="n1", updated=time.time() - 900)
    found = diagnose(run, job("running", "RUNNING"))
    assert "nothing was written" in found.what
    assert "running on n1" in found.because[0]


def test_diagnose__finished(runs):
    run = runs()
    set_state(run, status="finished")
    assert diagnose(run, None).what == "finished"


def test_diagnose__message_of_the_trainer_says_it_all(runs):
    run = runs()
    set_state(run, status="failed", exit_code=6, message="loss is nan at step 3")
    log(
        run,
        "mkdir: /x: Permission denied\nTraceback (most recent call last):\nMyError: loss is nan\n",
    )
    found = diagnose(run, job("ended", "FAILED", "NonZeroExitCode", 6))
    assert found.what == "job 7 failed, with exit code 6"
    assert found.because[0] == "state.json: loss is nan at step 3"
    assert "training itself" in found.cause


def test_diagnose__message_that_is_a_known_one(runs):
    run = runs()
    set_state(run, status="failed", exit_code=6, message="OutOfMemoryError: CUDA out of memory.")
    assert "a GPU had no memory left" in diagnose(run, None).cause


def test_diagnose__out_of_memory_in_the_log(runs):
    run = runs()
    set_state(run, status="failed", exit_code=137)
    log(run, "fine\nslurmstepd: error: Detected 1 oom_kill event in StepId=7.batch\n")
    found = diagnose(run, job("ended", "OUT_OF_MEMORY", "OutOfMemory", 137))
    assert "logs/7.out: slurmstepd: error: Detected 1 oom_kill" in found.because[0]
    assert "memory_gb_per_node" in found.fix


def test_diagnose__timeout(runs):
    run = runs()
    set_state(run, status="running", host=socket.gethostname(), pid=2**22 + 1, updated=time.time())
    found = diagnose(run, job("ended", "TIMEOUT", "TimeLimit", 0))
    assert "walltime" in found.cause
    assert "scheduler: TIMEOUT TimeLimit" in found.because


def test_diagnose__no_folder_for_the_log(runs):
    run = runs()
    found = diagnose(
        run, RunJob("7", JobStatus("7", "ended", "FAILED", "JobLaunchFailure", exit_code=181))
    )
    assert found.what == "job 7 ended before the training began, with exit code 181"
    assert f"{run}/logs" in found.fix


def test_diagnose__walltime_of_pbs(runs):
    run = runs("p", "generic-pbs")
    set_state(run, status="failed", exit_code=1)
    found = diagnose(run, job("ended", "F", "Job run at x on (n1) and failed", -29))
    assert found.what == "job 7 failed, with exit code 1"  # what the script saw
    set_state(run, status="running", host="n1", updated=time.time())
    assert "walltime" in diagnose(run, job("ended", "F", "", -29)).cause


@pytest.mark.parametrize(
    ("what", "fix"),
    [
        ("it was the last of chain.max_jobs: 3", "raise chain.max_jobs"),
        ("no step was saved since the job began", "raise resources.walltime"),
        ("not handed in again: the scheduler refused; its words are in the log", "read them"),
        ("stopped by the file STOP", "hand it in again"),
    ],
)
def test_diagnose__end_of_a_chain(runs, what, fix):
    run = runs()
    set_state(run, status="stopped", stop_reason="the deadline")
    (run / "chain.log").write_text(f"x\t3\t7\t75\t9\t{what}\n")
    found = diagnose(run, job("ended", "COMPLETED", "", 75))
    assert found.because == ("state.json: stopped by the deadline", f"chain.log: {what}")
    assert fix in found.fix


def test_diagnose__cancelled(runs):
    run = runs()
    set_state(run, status="stopped", stop_reason="signal SIGTERM")
    handed_in(run, "submit 7", "cancel 7")
    found = diagnose(run, job("ended", "CANCELLED"))
    assert found.cause == "it was cancelled"
    assert found.because[-1] == "submitted.log: ended with hpctrain cancel"
    handed_in(run, "submit 7", "cancel 7", "submit 8")
    assert diagnose(run, None).cause == "it was asked to save and leave"


def test_diagnose__unreadable_state(runs):
    run = runs()
    (run / "state.json").write_text("{")
    assert diagnose(run, None).fix == f"read the log: hpctrain logs {run}"
