"""`hpctrain status`, as a process and on a terminal."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpctrain import run_state
from hpctrain.cli import status
from hpctrain.errors import ConfigError
from tests.queues import handed_in

PROGRAM = """
import typer
from hpctrain import run_state
from hpctrain.cli import status
status.WATCH_EVERY_S = 0.2
typer.run(status.command)
"""
ARGV = [sys.executable, "-c", PROGRAM]


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A folder jobs/ in the current folder, and a function that puts a run into it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()

    def add(name, **fields):
        run = tmp_path / "jobs" / name
        run.mkdir()
        (run / "state.json").write_text(json.dumps(fields, indent=1))
        return run

    return add


def rows(capsys, **options):
    status.command(**options)
    return capsys.readouterr().out.splitlines()


RUNNING = {
    "status": "running",
    "epoch": 3,
    "epochs": 20,
    "step": 120,
    "loss": 0.01314159,
    "samples_per_s": 37.42,
    "eta_s": 754,
    "checkpoint": "checkpoints/state_3.pt",
}


def test_status__every_run_with_its_numbers(jobs, capsys):
    here = socket.gethostname()
    jobs("mantle", **RUNNING, updated=time.time(), host=here, pid=os.getpid())
    jobs("new", status="rendered")
    head, mantle, new = rows(capsys)
    assert head.split() == ["run", "state", "epoch", "step", "loss", "samples/s", "left",
                            "checkpoint", "updated"]  # fmt: skip
    assert mantle.split()[:6] == ["mantle", "running", "3/20", "120", "0.01314", "37.4"]
    assert mantle.split()[6] in ("12:34", "12:33", "12:32")
    assert "state_3.pt" in mantle
    assert new.split()[:3] == ["new", "rendered", "-"]
    assert head.index("state") == mantle.index("running") == new.index("rendered")


def test_status__dead_and_silent_runs(jobs, capsys):
    here = socket.gethostname()
    jobs("a", **RUNNING, host=here, pid=2**22 + 1)
    jobs("b", **RUNNING, host="nid9999", pid=1, updated=time.time() - 730)
    _, dead, silent = rows(capsys)
    assert "died" in dead
    assert "is gone without a word; see jobs/a/logs" in dead
    assert "silent 12 min" in silent
    assert "12:34" not in dead + silent


def test_status__failure_tells_why(jobs, capsys):
    jobs("a", status="failed", exit_code=6, message="loss is nan\nat step 3")
    assert "exit code 6: loss is nan at step 3" in rows(capsys)[1]


def test_status__copying_to_the_nodes_while_the_run_is_at_work(jobs, capsys):
    here = {"host": socket.gethostname(), "pid": os.getpid(), "updated": time.time()}
    told = {"staging": {"text": "3.00 GB of 9.00 GB on 2 nodes"}}
    jobs("a", **RUNNING, **here, **told)
    jobs("b", status="finished", **told)
    _, at_work, finished = rows(capsys)
    assert at_work.endswith("staging: 3.00 GB of 9.00 GB on 2 nodes")
    assert "staging" not in finished


def test_status__unreadable_state_is_a_row(jobs, capsys):
    (jobs("a") / "state.json").write_text('{"status": "runn')
    jobs("b", status="finished")
    _, broken, fine = rows(capsys)
    assert "unreadable" in broken
    assert "state.json is not JSON" in broken
    assert "finished" in fine


def test_status__checkpoint_from_the_link_when_not_recorded(jobs, capsys):
    run = jobs("a", status="failed")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "latest").symlink_to("state_7.pt")
    assert "state_7.pt" in rows(capsys)[1]


def test_status__no_runs_says_how_to_make_one(jobs, capsys, tmp_path):
    expected = ["no runs in jobs/; make one with: hpctrain render mantle.yaml"]
    assert rows(capsys) == expected
    (tmp_path / "jobs").rmdir()
    assert rows(capsys) == expected


def test_status__a_sweep_is_one_row_that_counts_its_points(jobs, capsys):
    jobs("a", status="finished")
    points = jobs("sweep", status="rendered")
    (points / "state.json").unlink()
    (points / "sweep.json").write_text('{"how": "array"}')
    (points / "points").mkdir()
    for number, state in enumerate(("rendered", "finished", "failed", "finished")):
        jobs(f"sweep/points/{number:03}", status=state)
    lines = rows(capsys)
    assert [line.split()[0] for line in lines] == ["run", "a", "sweep"]
    assert "2 finished, 1 failed, 1 rendered" in lines[2]
    assert [line.split()[0] for line in rows(capsys, folder=Path("sweep"))[1:]] == [
        "000",
        "001",
        "002",
        "003",
    ]


def test_status__a_sweep_with_a_torn_page_is_said(jobs, capsys):
    sweep = jobs("sweep", status="rendered")
    (sweep / "state.json").unlink()
    (sweep / "sweep.json").write_text("{")
    (sweep / "points").mkdir()
    jobs("sweep/points/000", status="finished")
    assert "has a sweep.json that is torn" in rows(capsys)[1]
    status.command(Path("sweep"))
    said = capsys.readouterr()
    assert "note: jobs/sweep: has a sweep.json that is torn" in said.err
    assert "finished" in said.out


def test_status__near_miss_is_named(jobs):
    jobs("small", status="finished")
    with pytest.raises(ConfigError, match="Did you mean 'small'"):
        status.command(Path("smal"))


def test_status__folder_that_is_not_there(jobs, tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such run directory"):
        status.command(tmp_path / "nowhere")


def test_status__one_run_directory(jobs, capsys):
    run = jobs("a", status="finished")
    jobs("b", status="finished")
    assert [line.split()[0] for line in rows(capsys, folder=run)] == ["run", "a"]


def test_status__name_in_jobs(jobs, capsys):
    jobs("a", status="finished")
    jobs("b", status="finished")
    assert [line.split()[0] for line in rows(capsys, folder=Path("b"))] == ["run", "b"]


def test_status__json_for_programs(jobs, capsys):
    run = jobs("a", **{**RUNNING, "loss": float("nan")}, host="nid9999", updated=1.0)
    (entry,) = json.loads("".join(rows(capsys, as_json=True)))
    assert entry["path"] == str(run)
    assert entry["status"] == "running"
    assert entry["verdict"] == "silent"
    assert entry["loss"] is None
    assert entry["epochs"] == 20


def test_status__json_of_no_runs_is_an_empty_list(jobs, capsys):
    assert rows(capsys, as_json=True) == ["[]"]


def test_status__json_and_watch_exclude_each_other(jobs):
    with pytest.raises(ConfigError, match="--json and --watch"):
        status.command(as_json=True, watch=True)


def test_status__table_on_a_terminal(jobs):
    jobs("mantle[red]", **RUNNING, host="nid9999", updated=time.time())
    text = _on_terminal(ARGV)
    assert "mantle[red]" in text
    assert "\x1b[36mrunning" in text
    assert "3/20" in text


def test_status__narrow_terminal_drops_columns_not_letters(jobs):
    jobs("mantle", **RUNNING, host="nid9999", updated=time.time())
    jobs("broken", status="failed", message="loss is nan in a sentence that is longer than a row")
    text = _on_terminal(ARGV, columns=80)
    assert "…" not in text
    assert "mantle" in text
    assert "step" not in text
    assert "broken: loss is nan" in text


def test_status__watch_goes_on_until_interrupted(jobs, tmp_path):
    run = jobs("mantle", status="rendered")
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    watch = subprocess.Popen([*ARGV, "--watch"], stdout=subprocess.PIPE, text=True, env=env)
    seen = [watch.stdout.readline() for _ in range(3)]
    (run / "state.json").write_text('{"status": "finished"}')
    later = (watch.stdout.readline() for _ in range(30))
    assert any("finished" in line for line in later)
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=20)
    assert watch.returncode == 0
    assert "rendered" in seen[1]
    assert seen[2] == "\n"


def _on_terminal(argv, columns=120):
    """Output of a program whose standard output is a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(argv, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            part = b""
        if not part:
            break
        output += part
    os.close(ours)
    assert process.wait() == 0, output.decode()
    return output.decode()


def test_status__job_and_queue(jobs, capsys, programs):
    waiting, running = jobs("a", status="rendered"), jobs("b", status="running", host="n9")
    jobs("c", status="rendered")
    for run, job_id in ((waiting, "100"), (running, "101")):
        handed_in(run, f"submit {job_id}")
        (run / "run.slurm").touch()
    programs("squeue", "echo '100|PENDING|0||||Priority|'; echo '101|RUNNING|0||||None|'")
    head, first, second, third = rows(capsys)
    assert head.split()[:4] == ["run", "state", "job", "queue"]
    assert first.split()[:5] == ["a", "rendered", "100", "waiting:", "Priority"]
    assert second.split()[2:4] in (["101", "running"], ["5", "d"], ["silent", "101"])
    assert third.split()[2:4] == ["-", "-"]


def test_status__a_dead_scheduler_is_a_note(jobs, capsys, programs):
    run = jobs("a", status="rendered")
    handed_in(run, "submit 100")
    (run / "run.slurm").touch()
    programs("squeue", "exit 7")
    status.command()
    said = capsys.readouterr()
    assert "note: slurm: jobs are not looked up" in said.err
    assert said.out.splitlines()[1].split()[:3] == ["a", "rendered", "100"]


def test_status__no_queue_asks_nobody(jobs, capsys, programs):
    run = jobs("a", status="rendered")
    handed_in(run, "submit 100")
    (run / "run.slurm").touch()
    calls = programs("squeue")
    assert rows(capsys, no_queue=True)[0].split()[2] == "epoch"
    assert calls.read_text() == ""


def test_status__json_has_the_queue(jobs, capsys, programs):
    run = jobs("a", status="rendered")
    handed_in(run, "submit 100")
    (run / "run.slurm").touch()
    programs("squeue", "echo '100|PENDING|0||||Priority|'")
    (entry,) = json.loads("".join(rows(capsys, as_json=True)))
    assert (entry["job_id"], entry["queue_state"]) == ("100", "waiting")
    assert entry["queue_reason"] == "Priority"


def test_status__the_share_that_hurts_most(jobs, capsys):
    shares = {"data": 0.41, "forward_backward": 0.5, "communication": 0.05, "other": 0.04}
    jobs("a", **RUNNING, updated=time.time(), host="nid9999", shares=shares)
    jobs("b", **RUNNING, updated=time.time(), host="nid9999", shares={"data": 0.02, "other": "x"})
    head, a, b = rows(capsys)
    at = head.index("overhead")
    assert a[at:].startswith("data 41%")
    assert b[at:].startswith("-")


def test_status__fits_a_terminal_of_120_columns(jobs):
    shares = {"communication": 0.41}
    run = jobs("mantle-long-run", **RUNNING, updated=time.time(), host="nid9999", shares=shares)
    rows = [status.row(run_state.read(run), time.time())]
    columns = status._fitting(rows, 120)
    assert "overhead" in columns
    assert "overhead" not in status._fitting(rows, 70)
