"""`hpctrain cancel`, `hold`, `release`."""

import pytest

from hpctrain.cli import main
from tests.queues import handed_in


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_cancel__says_which_jobs_ended(programs, runs, capsys):
    handed_in(runs("a"), "submit 100", "presubmit 101")
    programs("squeue", "echo '100|RUNNING|0||||None|'; echo '101|PENDING|0||||Dependency|'")
    programs("scancel")
    assert run("cancel", "a") == 0
    assert capsys.readouterr().out == "jobs/a: cancelled jobs 100, 101\n"


def test_cancel__save(programs, runs, capsys):
    handed_in(runs("a"), "submit 100")
    programs("squeue", "echo '100|RUNNING|0||||None|'")
    programs("scancel")
    assert run("cancel", "--save", "a") == 0
    assert capsys.readouterr().out == "jobs/a: job 100 saves at its next step, and leaves\n"


def test_cancel__one_of_several_fails_and_the_others_are_ended(programs, runs, capsys):
    runs("a")
    handed_in(runs("b"), "submit 100")
    programs("squeue", "echo '100|RUNNING|0||||None|'")
    calls = programs("scancel")
    assert run("cancel", "a", "b") == 4
    assert calls.read_text() == "100\n"
    assert "jobs/a: it was never handed in" in capsys.readouterr().err


def test_cancel__unknown_run(runs, capsys):
    runs("mantle")
    assert run("cancel", "mantel") == 2
    assert "Did you mean 'mantle'?" in capsys.readouterr().err


def test_hold_and_release(programs, runs, capsys):
    handed_in(runs("a"), "submit 100")
    programs("scontrol")
    programs("squeue", "echo '100|PENDING|0||||Priority|'")
    assert run("hold", "a") == 0
    programs("squeue", "echo '100|PENDING|0||||JobHeldUser|'")
    assert run("release", "a") == 0
    assert capsys.readouterr().out == "jobs/a: held job 100\njobs/a: released job 100\n"


@pytest.mark.parametrize("command", ["cancel", "hold", "release"])
def test_cancel__scheduler_that_talks_nonsense(programs, runs, capsys, command):
    handed_in(runs("a"), "submit 100")
    programs("squeue", "echo '<html>'")
    assert run(command, "a") == 4
    assert "squeue: the answer is not what this command prints" in capsys.readouterr().err
