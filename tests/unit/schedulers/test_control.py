"""Cancel, hold, release."""

import pytest

from hpctrain.errors import JobNotFoundError, SchedulerError
from hpctrain.schedulers.control import cancel, hold
from hpctrain.schedulers.records import add_follower, events, record

FORGETS = '[ -e "$0.gone" ] && exit 0; {}'
"""squeue that knows jobs until scancel was called."""
SCANCEL = 'touch "$(dirname "$0")/squeue.gone"'


@pytest.fixture
def run(runs):
    """A run that was handed in as job 100."""
    folder = runs()
    record(folder, "submit", "100")
    return folder


def rows(*jobs: str) -> str:
    return "; ".join(f"echo '{job}|'" for job in jobs)


def test_cancel__ends_the_job_and_remembers(run, programs):
    programs("squeue", FORGETS.format(rows("100|RUNNING|0|N/A|N/A||None")))
    calls = programs("scancel", SCANCEL)
    assert cancel(run).job_ids == ("100",)
    assert calls.read_text() == "100\n"
    assert events(run)[-1].how == "cancel"


def test_cancel__a_chain_handed_in_at_once(run, programs):
    record(run, "presubmit", "101")
    programs("squeue", rows("100|COMPLETED|0||||None", "101|PENDING|0||||Dependency"))
    calls = programs("scancel")
    assert cancel(run).job_ids == ("101",)
    assert calls.read_text() == "101\n"


def test_cancel__a_chain_that_goes_on_in_the_same_moment(run, programs):
    programs("squeue", 'for id in $(echo "$*" | sed "s/.*--jobs=//; s/ .*//"); do '
             'echo "$id|RUNNING|0||||None|"; done')  # fmt: skip
    calls = programs(
        "scancel", f"[ $1 != 100 ] || printf 'x\\tchain\\t101\\n' >>{run}/submitted.log"
    )
    assert cancel(run).job_ids == ("100", "101")
    assert calls.read_text() == "100\n101\n"


def test_cancel__save_asks_the_running_job(run, programs):
    record(run, "presubmit", "101")
    programs("squeue", rows("100|RUNNING|0||||None", "101|PENDING|0||||Dependency"))
    calls = programs("scancel")
    done = cancel(run, is_saving=True)
    assert (done.saving, done.job_ids) == ("100", ("101",))
    assert calls.read_text() == "--signal=USR1 --batch 100\n101\n"
    assert (run / "STOP").is_file()


def test_cancel__save_of_a_waiting_job_is_a_plain_end(run, programs):
    programs("squeue", rows("100|PENDING|0||||Priority"))
    programs("scancel")
    done = cancel(run, is_saving=True)
    assert (done.saving, done.job_ids) == (None, ("100",))
    assert not (run / "STOP").exists()


def test_cancel__names_who_waited_for_success(run, programs):
    add_follower(run, "200", "ok")
    add_follower(run, "201", "any")
    programs("squeue", rows("100|RUNNING|0||||None"))
    programs("scancel")
    assert cancel(run).left_waiting == ("200",)


def test_cancel__never_handed_in(runs):
    with pytest.raises(JobNotFoundError, match="it was never handed in; do so with: hpctrain"):
        cancel(runs())


def test_cancel__ended_already(run, programs):
    programs("squeue", rows("100|COMPLETED|0||||None"))
    with pytest.raises(JobNotFoundError, match=r"job 100 is neither queued nor at work.* why "):
        cancel(run)


def test_cancel__refused(run, programs):
    programs("squeue", rows("100|RUNNING|0||||None"))
    programs("scancel", "echo 'Access/permission denied' >&2; exit 1")
    with pytest.raises(SchedulerError, match=r"(?s)refused\n  \$ scancel 100\n  Access/permission"):
        cancel(run)
    assert events(run)[-1].how == "submit"


def test_hold_and_release(run, programs):
    calls = programs("scontrol")
    programs("squeue", rows("100|PENDING|0||||Priority"))
    assert hold(run) == ("100",)
    with pytest.raises(
        JobNotFoundError, match="job 100 is waiting; only a held job can be release"
    ):
        hold(run, is_release=True)
    programs("squeue", rows("100|PENDING|0||||JobHeldUser"))
    assert hold(run, is_release=True) == ("100",)
    assert calls.read_text() == "hold 100\nrelease 100\n"
