"""submitted.log, followers, chain.log."""

import time

import pytest

from hpctrain.errors import SubmitError
from hpctrain.schedulers import records
from tests.queues import set_state


def write(run, *rows: str) -> None:
    (run / "submitted.log").write_text("".join(f"2026-11-21T10:00:00Z\t{row}\n" for row in rows))


def ids(run) -> list[str]:
    return [event.job_id for event in records.current_jobs(run)]


def test_record__one_line_an_event(tmp_path):
    records.record(tmp_path, "submit", "1.srv")
    records.record(tmp_path, "chain", "2.srv")
    first, second = records.events(tmp_path)
    assert (first.how, first.job_id, second.job_id) == ("submit", "1.srv", "2.srv")
    assert abs(first.time - time.time()) < 3
    assert (tmp_path / "submitted.log").read_text().count("\n") == 2


def test_events__damaged_lines_are_passed_over(tmp_path):
    (tmp_path / "submitted.log").write_text("x\n\na\tsubmit\t\nwhen\tsubmit\t5\n\xff")
    (event,) = records.events(tmp_path)
    assert (event.time, event.job_id) == (None, "5")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        (["submit\t1"], ["1"]),
        (["submit\t1", "cancel\t1"], ["1"]),
        (["submit\t1", "submit\t2"], ["2"]),
        (["submit\t1", "chain\t2", "chain\t3"], ["3"]),
        (["submit\t1", "presubmit\t2", "presubmit\t3"], ["1", "2", "3"]),
        (["submit\t1", "presubmit\t2", "cancel\t1", "cancel\t2"], ["1", "2"]),
        (["submit\t0", "submit\t1", "presubmit\t2"], ["1", "2"]),
    ],
)
def test_current_jobs(tmp_path, rows, expected):
    write(tmp_path, *rows)
    assert ids(tmp_path) == expected


def test_current_jobs__handed_in_by_hand(tmp_path):
    set_state(tmp_path, status="running", job_id="77")
    assert ids(tmp_path) == ["77"]
    set_state(tmp_path, status="finished", job_id="77")
    assert ids(tmp_path) == []


def test_followers(tmp_path):
    records.add_follower(tmp_path, "5", "ok")
    records.add_follower(tmp_path, "6", "any")
    with (tmp_path / "followers").open("a") as file:
        file.write("7\tnonsense\n8\n")
    assert records.followers(tmp_path) == [("5", "ok"), ("6", "any")]


def test_links(tmp_path):
    row = "2026-11-21T10:00:00Z\t1\t20\t75\t400\tgoes on in job 21\n"
    (tmp_path / "chain.log").write_text(f"{row}nonsense\n")
    (link,) = records.links(tmp_path)
    assert (link.number, link.job_id, link.what) == (1, "20", "goes on in job 21")


def test_locked__a_second_call_is_refused(tmp_path):
    with (
        records.locked(tmp_path),
        pytest.raises(SubmitError, match="another call"),
        records.locked(tmp_path),
    ):
        pass
    with records.locked(tmp_path):
        pass
