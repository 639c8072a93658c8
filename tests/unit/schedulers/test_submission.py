"""Hand in: once, behind what it waits for, and with nothing half-done."""

import os
import time

import pytest

from hpctrain.errors import SchedulerError, SubmitError
from hpctrain.schedulers.records import events, followers
from hpctrain.schedulers.submission import submit
from tests.queues import set_state
from tests.runs import wait_until

GONE = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
COUNT = (
    'n=$(wc -l <"$0.n" 2>/dev/null || echo 0); echo x >>"$0.n"; '
    'echo "Submitted batch job $((n + 100))"'
)
"""Job ids 100, 101, ..."""


def line(job_id: str, state: str, reason: str = "None") -> str:
    return f"echo '{job_id}|{state}|0|N/A|N/A||{reason}|'"


def log(run) -> list[tuple[str, str]]:
    return [(event.how, event.job_id) for event in events(run)]


def test_submit__records_the_job(programs, runs):
    calls = programs("sbatch", COUNT)
    run = runs()
    done = submit(run)
    assert done.job_ids == ("100",)
    assert log(run) == [("submit", "100")]
    assert calls.read_text() == f"{run}/run.slurm\n"


def test_submit__held(programs, runs):
    calls = programs("sbatch", COUNT)
    submit(runs(), is_held=True)
    assert calls.read_text().startswith("--hold ")


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "CONFIGURING"])
def test_submit__not_twice(programs, runs, state):
    calls = programs("sbatch", COUNT)
    run = runs()
    submit(run)
    programs("squeue", line("100", state))
    with pytest.raises(SubmitError, match=r"jobs/mantle: job 100 is \w+ already; .* cancel"):
        submit(run)
    assert len(calls.read_text().splitlines()) == 1


def test_submit__again_after_the_end(programs, runs):
    programs("sbatch", COUNT)
    run = runs()
    submit(run)
    programs("squeue", GONE)
    assert submit(run).job_ids == ("101",)


def test_submit__a_killed_job_leaves_running_behind(programs, runs):
    programs("sbatch", COUNT)
    run = runs()
    submit(run)
    set_state(run, status="running", host="n1", pid=1, updated=time.time())
    programs("squeue", line("100", "NODE_FAIL"))
    assert submit(run).job_ids == ("101",)


def test_submit__a_run_that_was_started_by_hand(programs, runs):
    programs("sbatch", COUNT)
    run = runs()
    set_state(run, status="running", host="n1", pid=1, updated=time.time())
    with pytest.raises(SubmitError, match="it is running on n1; wait for its end"):
        submit(run)
    assert log(run) == []


def test_submit__a_finished_run(programs, runs):
    programs("sbatch", COUNT)
    run = runs()
    set_state(run, status="finished")
    with pytest.raises(SubmitError, match=r"finished, and a job would find nothing to do.*--as"):
        submit(run)


def test_submit__refusal_shows_its_words_and_the_kept_script(programs, runs):
    programs("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    run = runs()
    with pytest.raises(SubmitError) as info:
        submit(run)
    text = str(info.value)
    assert f"$ sbatch {run}/run.slurm" in text
    assert "  sbatch: error: invalid partition specified: x" in text
    assert text.endswith(f"the script is kept: {run}/run.slurm")
    assert (run / "run.slurm").is_file()
    assert log(run) == []


def test_submit__an_answer_without_a_job_id(programs, runs):
    programs("sbatch", "echo fine")
    run = runs()
    with pytest.raises(SubmitError, match=r"(?s)named no job id; it may have taken.*  fine"):
        submit(run)
    assert log(run) == []


def test_submit__no_scheduler_here(programs, runs):
    run = runs()
    with pytest.raises(SchedulerError, match="sbatch: no such program in PATH"):
        submit(run)
    assert log(run) == []


def test_submit__a_folder_without_a_script(tmp_path):
    with pytest.raises(SubmitError, match="no run script there"):
        submit(tmp_path)


def test_submit__logs_folder_that_was_removed_is_made(programs, runs):
    programs("sbatch", COUNT)
    run = runs()
    (run / "logs").rmdir()
    submit(run)
    assert (run / "logs").is_dir()  # Slurm would fail the job without a word


def test_submit__behind_another_run(programs, runs):
    calls = programs("sbatch", COUNT)
    first, second = runs("first"), runs("second", "generic-slurm", "after={first: ok}")
    submit(first)
    programs("squeue", line("100", "RUNNING"))
    done = submit(second)
    words = calls.read_text().splitlines()[1]
    assert words == f"--dependency=afterok:100 --kill-on-invalid-dep=yes {second}/run.slurm"
    assert followers(first) == [("101", "ok")]
    assert [wait.job_id for wait in done.waits] == ["100"]


@pytest.mark.parametrize(
    ("condition", "status", "words"),
    [
        ("ok", "failed", "shall finish well, and it has ended as failed .loss is nan.; start it"),
        ("failed", "finished", "shall fail, and it has ended as finished"),
        ("ok", "rendered", "that run was never handed in; hpctrain submit"),
        ("any", "rendered", "that run was never handed in"),
    ],
)
def test_submit__behind_what_cannot_come(programs, runs, condition, status, words):
    programs("sbatch", COUNT)
    first = runs("first")
    second = runs("second", "generic-slurm", f"after={{first: {condition}}}")
    set_state(first, status=status, message="loss is nan" if status == "failed" else "")
    with pytest.raises(SubmitError, match=f"jobs/second: after.first: .*{words}"):
        submit(second)
    assert log(second) == []


@pytest.mark.parametrize(
    ("condition", "status"), [("ok", "finished"), ("any", "failed"), ("failed", "failed")]
)
def test_submit__behind_what_has_come(programs, runs, condition, status):
    calls = programs("sbatch", COUNT)
    first = runs("first")
    set_state(first, status=status)
    second = runs("second", "generic-slurm", f"after={{first: {condition}}}")
    assert submit(second).waits == ()
    assert "--dependency" not in calls.read_text()


def test_submit__behind_a_run_that_is_not_there(programs, runs):
    programs("sbatch", COUNT)
    run = runs("second", "generic-slurm", "after={frist: ok}")
    with pytest.raises(SubmitError, match="after.frist: no run 'frist' beside this one"):
        submit(run)


def test_submit__behind_a_run_of_another_scheduler(programs, runs):
    programs("sbatch", COUNT)
    programs("qsub", "echo 7.srv")
    programs("qstat", """echo '{"Jobs": {"7.srv": {"job_state": "R"}}}'""")
    first = runs("first", "generic-pbs")
    submit(first)
    second = runs("second", "generic-slurm", "after={first: ok}")
    with pytest.raises(SubmitError, match="a job of pbs, and this one of slurm"):
        submit(second)


def test_submit__cobalt_waits_for_success_only(programs, runs):
    programs("qsub", "echo 7")
    programs("qstat", "printf 'JobID: 7\\n    State : running\\n'")
    first = runs("first", "generic-cobalt")
    submit(first)
    second = runs("second", "generic-cobalt", "after={first: any}")
    with pytest.raises(SubmitError, match="found 'any'; cobalt can only wait for: ok"):
        submit(second)


def test_submit__a_whole_chain_at_once(programs, runs):
    sbatch, scontrol = programs("sbatch", COUNT), programs("scontrol")
    run = runs("c", "generic-slurm", "chain={max_jobs: 3, how: presubmit}")
    assert submit(run).job_ids == ("100", "101", "102")
    assert log(run) == [("submit", "100"), ("presubmit", "101"), ("presubmit", "102")]
    first, second, third = sbatch.read_text().splitlines()
    assert first.startswith("--hold ")
    assert second.startswith("--dependency=afterany:100 ")
    assert third.startswith("--dependency=afterany:101 ")
    assert scontrol.read_text() == "release 100\n"


def test_submit__numbers_of_a_chain_reach_the_jobs(programs, runs, tmp_path):
    programs("sbatch", f'{COUNT}; echo "${{HPCTRAIN_CHAIN_JOB-unset}}" >>{tmp_path}/numbers')
    programs("scontrol")
    submit(runs("c", "generic-slurm", "chain={max_jobs: 3, how: presubmit}"))
    assert (tmp_path / "numbers").read_text().split() == ["unset", "2", "3"]


def test_submit__a_chain_that_is_taken_in_part(programs, runs):
    body = f'{COUNT}; [ "$n" -lt 2 ] || {{ echo limit >&2; exit 1; }}'
    programs("sbatch", body.replace('echo "Submitted', '[ "$n" -ge 2 ] || echo "Submitted'))
    scontrol = programs("scontrol")
    run = runs("c", "generic-slurm", "chain={max_jobs: 4, how: presubmit}")
    with pytest.raises(SubmitError, match=r"(?s)2 of 4 jobs of the chain were taken \(100, 101\)"):
        submit(run)
    assert log(run) == [("submit", "100"), ("presubmit", "101")]
    assert scontrol.read_text() == "release 100\n"


def test_submit__cobalt_takes_no_chain_at_once(programs, runs):
    calls = programs("qsub", "echo 7")
    run = runs("c", "generic-cobalt", "chain={max_jobs: 3, how: presubmit}")
    with pytest.raises(SubmitError, match=r"chain.how: found 'presubmit'.*write resubmit"):
        submit(run)
    assert calls.read_text() == ""


def test_submit__local_starts_the_script_by_itself(runs):
    run = runs("a", "local")
    script = run / "run.sh"
    script.write_text('#!/bin/sh\necho "$0 $(ps -o sid= -p $$)"\nsleep 60\n')
    script.chmod(0o644)  # copies lose the bit
    (job_id,) = submit(run).job_ids
    pid = int(job_id.rpartition("-")[2])
    wait_until(lambda: (run / "logs" / "local.out").read_text() != "", 10)
    assert (run / "logs" / "local.out").read_text().split() == [str(script), str(pid)]
    with pytest.raises(SubmitError, match="is running already"):
        submit(run)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert log(run) == [("submit", job_id)]


def test_submit__local_cannot_hold(runs):
    with pytest.raises(SubmitError, match="--hold needs a scheduler"):
        submit(runs("a", "local"), is_held=True)
