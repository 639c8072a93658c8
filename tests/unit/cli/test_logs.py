"""`hpctrain logs`."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hpctrain.cli import main
from tests.queues import handed_in, set_state
from tests.runs import wait_until

ARGV = [sys.executable, "-m", "hpctrain", "logs"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_logs__last_lines(runs, capsys):
    (runs("a") / "logs" / "1.out").write_text("one\ntwo\nthree\n")
    assert run("logs", "a", "-n", "2") == 0
    assert capsys.readouterr().out == "two\nthree\n"


def test_logs__several_files_of_one_job_have_heads(runs, capsys):
    for name in ("1.output", "1.error"):
        (runs("a") / "logs" / name).write_text(f"{name}\n")
    assert run("logs", "a") == 0
    out = capsys.readouterr().out
    assert "==> jobs/a/logs/1.output <==\n1.output\n" in out
    assert "==> jobs/a/logs/1.error <==\n1.error\n" in out


def test_logs__none_yet(runs, capsys):
    runs("a")
    assert run("logs", "a") == 2
    assert "jobs/a/logs: no log yet" in capsys.readouterr().err


def test_logs__follow_over_the_jobs_of_a_chain_to_the_end(runs, tmp_path):
    folder = runs("a")
    set_state(folder, status="running", host="n1", updated=time.time())
    first = folder / "logs" / "1.out"
    first.write_text("old\nlast\n")
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen([*ARGV, "a", "-f", "-n", "1"], stdout=out)
        wait_until(lambda: "last" in (tmp_path / "out").read_text(), 20)
        with first.open("a") as file:
            file.write("more\n")
        wait_until(lambda: "more" in (tmp_path / "out").read_text(), 20)
        (folder / "logs" / "2.out").write_text("next job\n")
        set_state(folder, status="finished")
        assert process.wait(timeout=20) == 0
    assert (tmp_path / "out").read_text().splitlines() == [
        "==> jobs/a/logs/1.out <==",
        "last",
        "more",
        "==> jobs/a/logs/2.out <==",
        "next job",
    ]


def test_logs__follow_ends_with_the_job_of_a_failed_run(programs, runs):
    folder = runs("a")
    handed_in(folder, "submit 100")
    set_state(folder, status="failed", exit_code=1)
    programs("squeue", "echo '100|FAILED|256||||NonZeroExitCode|'")
    assert run("logs", "a", "-f") == 0


def test_logs__follow_of_a_finished_run_asks_nobody(programs, runs, capsys):
    folder = runs("a")
    handed_in(folder, "submit 100")
    set_state(folder, status="finished")
    calls = programs("squeue")
    assert run("logs", "a", "-f") == 0
    assert calls.read_text() == ""


def test_logs__interrupt_is_clean(runs, tmp_path):
    folder = runs("a")
    set_state(folder, status="running", host="n1", updated=time.time())
    (folder / "logs" / "1.out").write_text("here\n")
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen([*ARGV, "a", "-f"], stdout=out, stderr=subprocess.STDOUT)
        wait_until(lambda: "here" in (tmp_path / "out").read_text(), 20)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert "Traceback" not in (tmp_path / "out").read_text()
