"""`hpctrain why`."""

import json

import pytest

from hpctrain.cli import main
from tests.queues import handed_in, set_state


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_why__what_because_and_what_to_do(programs, runs, capsys):
    handed_in(runs("a"), "submit 100")
    programs("squeue", "echo '100|PENDING|0||||QOSMaxJobsPerUserLimit|'")
    assert run("why", "a") == 0
    assert capsys.readouterr().out.splitlines() == [
        "jobs/a: job 100 is waiting",
        "  because  slurm: QOSMaxJobsPerUserLimit",
        "  that is  a limit of this account, QOS or user is reached",
        "  do       wait until own or the project's jobs end, ask for less, or use another queue "
        "or account",
    ]


def test_why__json(runs, capsys):
    set_state(runs("a"), status="failed", exit_code=6, message="loss is nan")
    assert run("why", "a", "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert page["what"] == "failed, with exit code 6"
    assert page["because"] == ["state.json: loss is nan"]
    assert page["run"] == "jobs/a"


def test_why__without_its_scheduler_the_rest_still_tells(programs, runs, capsys):
    folder = runs("a")
    handed_in(folder, "submit 100")
    set_state(folder, status="failed", exit_code=137)
    assert run("why", "a") == 0
    said = capsys.readouterr()
    assert "note: slurm: jobs are not looked up: squeue: no such program" in said.err
    assert "killed (SIGKILL)" in said.out


def test_why__unknown_run(capsys):
    assert run("why", "a") == 2
    assert "a: no such run directory" in capsys.readouterr().err


def test_why__a_run_without_a_trace_never_started(runs, capsys):
    folder = runs("a")
    (folder / "state.json").unlink()
    assert run("why", "a") == 0
    said = capsys.readouterr().out
    assert "jobs/a: never started" in said
    assert "hpctrain submit jobs/a" in said


def test_why__a_sweep_is_asked_about_point_by_point(runs, capsys):
    points = runs("s").parent / "sweep" / "points"
    points.mkdir(parents=True)
    (points.parent.parent / "s").rename(points / "000")
    (points.parent / "sweep.json").write_text("{")
    assert run("why", "sweep") == 2
    said = capsys.readouterr().err
    assert "jobs/sweep: is a sweep, but has a sweep.json that is torn; give one of its" in said
    assert "such as jobs/sweep/points/000" in said
