"""One question for many jobs, and what becomes of strange answers."""

import pytest

from hpctrain.errors import SchedulerError
from hpctrain.schedulers.detect import find_scheduler
from hpctrain.schedulers.query import find_states
from hpctrain.schedulers.records import Event

SLURM, PBS = find_scheduler("slurm"), find_scheduler("pbs")


def jobs(*ids: str) -> list[Event]:
    return [Event(None, "submit", job_id) for job_id in ids]


def test_find_states__many_jobs_one_question(programs):
    calls = programs(
        "squeue", "echo '1|RUNNING|0|N/A|N/A|n1|None|'; echo '2|PENDING|0||||Priority|'"
    )
    found = find_states(SLURM, jobs("1", "2"))
    assert {k: v.state for k, v in found.items()} == {"1": "running", "2": "waiting"}
    assert len(calls.read_text().splitlines()) == 1
    assert "--jobs=1,2" in calls.read_text()


def test_find_states__the_history_is_asked_for_the_rest(programs):
    programs("squeue", "echo '1|RUNNING|0|N/A|N/A|n1|None|'")
    calls = programs("sacct", "echo '2|TIMEOUT|0:0|N/A|N/A||None'")
    found = find_states(SLURM, jobs("1", "2", "3"))
    assert {k: v.state for k, v in found.items()} == {"1": "running", "2": "ended", "3": "unknown"}
    assert "--jobs=2,3" in calls.read_text()


def test_find_states__no_history_is_no_failure(programs):
    programs("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert find_states(SLURM, jobs("1"))["1"].state == "unknown"
    programs("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert find_states(SLURM, jobs("1"))["1"].state == "unknown"


def test_find_states__names_with_and_without_the_server(programs):
    programs("qstat", """echo '{"Jobs": {"5.pbs01.lab.gov": {"job_state": "R"}}}'""")
    assert find_states(PBS, jobs("5.pbs01"))["5.pbs01"].state == "running"


def test_find_states__a_server_without_history_is_asked_again(programs):
    body = """case $1 in
  -x) echo 'qstat: PBS is not configured to maintain job history' >&2; exit 54 ;;
  *) echo '{"Jobs": {"5.s": {"job_state": "Q"}}}' ;;
esac"""
    programs("qstat", body)
    assert find_states(PBS, jobs("5.s"))["5.s"].state == "waiting"


def test_find_states__down_is_told_in_its_own_words(programs):
    programs(
        "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    with pytest.raises(SchedulerError, match=r"(?s)exit code 1.*\$ squeue .*Unable to contact"):
        find_states(SLURM, jobs("1"))


@pytest.mark.parametrize("code", [0, 1])
def test_find_states__nonsense(programs, code):
    programs("squeue", f"echo '<html>down</html>'; exit {code}")
    with pytest.raises(SchedulerError, match=r"(?s)is not what this command prints.*<html>"):
        find_states(SLURM, jobs("1"))


def test_find_states__thousands_of_jobs_in_several_questions(programs):
    calls = programs("squeue", "echo")
    programs("squeue", "exit 0")
    find_states(SLURM, jobs(*map(str, range(450))))
    assert len(calls.read_text().splitlines()) == 3
