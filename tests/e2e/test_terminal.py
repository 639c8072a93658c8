"""What people do at a terminal: interrupt, start twice, close the window, type nothing."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.commands import environment, hpctrain, one_message, run_script, state
from tests.requires import requires
from tests.runs import SmallRun, wait_until

COMMANDS = [
    *("init", "sample", "index", "convert", "import-map2map", "models", "show", "check", "lint"),
    *("cost", "smoke", "render", "submit", "scale", "study"),
    *("status", "why", "logs", "cancel", "hold", "release"),
    *(
        "verify",
        "trace",
        "export",
        "reproduce",
        "predict",
        "generate",
        "embed",
        "evaluate",
        "report",
    ),
    *("profile", "table", "schema", "site", "doctor", "template", "container"),
]
ENDLESS = ("train.epochs=1000", "launch.comm=ddp")


def on_terminal(command: list[str], until: str, keys: bytes) -> tuple[int, str]:
    """Run on a terminal of its own and press keys once a text appears; exit code and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment(TERM="xterm"))
    output, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            output += os.read(terminal, 4096)
        except OSError:  # the other end has closed
            break
        if keys and re.search(until, output.decode(errors="replace")):
            os.write(terminal, keys)
            keys = b""
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode(errors="replace")


@requires(mpi=True)
def test_ctrl_c__saves_and_leaves_a_run_that_can_go_on(small: SmallRun) -> None:
    run = small.render("run", *ENDLESS)
    code, screen = on_terminal(["bash", str(run / "run.sh")], "epoch 2/1000  step 1/5", b"\x03")
    assert code == 75, screen
    assert "run: saving at the next step; once more ends it at once" in screen
    assert "run: saved and stopped; start it again to go on" in screen
    assert "Traceback" not in screen
    assert "\r\x1b[2Kepoch 1/1000  step 2/5" in screen, "the line is not rewritten in place"
    assert state(run)["status"] == "stopped"
    newest = (run / "checkpoints" / "latest").resolve()
    assert newest.name == state(run)["checkpoint"]


@requires(mpi=True)
def test_second_start__is_refused_and_harms_nothing(small: SmallRun) -> None:
    run = small.render("run", *ENDLESS)
    with small.start(run) as first:
        wait_until((run / "checkpoints" / "state_1.pt").exists)
        done = run_script(run)
        assert done.returncode == 5, done.stderr
        message = one_message(done.stderr)
        pid = state(run)["pid"]
        assert f"jobs/run: this run is training already (host {os.uname().nodename}" in message
        assert f"process {pid}," in message
        assert "--as run-2" in message
        assert first.poll() is None
        assert state(run)["status"] == "running"
        (run / "STOP").touch()
        assert first.wait(timeout=60) == 75
    assert state(run)["status"] == "stopped"


@pytest.mark.parametrize("command", COMMANDS)
def test_help__of_every_command_says_what_it_does(command: str, tmp_path: Path) -> None:
    done = hpctrain(command, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    usage, _, sentence, *_ = done.stdout.splitlines()
    assert re.fullmatch(rf"Usage: hpctrain {command} \[OPTIONS\]( [A-Z\[\]{{}}.]+)*", usage)
    assert re.match(r"  [A-Z].*[a-z.]$", sentence)


def test_nothing_typed__shows_every_command_with_a_whole_sentence(tmp_path: Path) -> None:
    done = hpctrain(cwd=tmp_path, env=environment(COLUMNS="80"))
    assert done.returncode == 2
    shown = done.stdout + done.stderr
    assert re.findall(r"^  ([a-z][a-z0-9-]+)  ", shown, re.MULTILINE) == COMMANDS
    assert "..." not in shown.partition("Commands:")[2]


def test_closed_pipe__is_no_error_of_ours(small: SmallRun) -> None:
    small.render("run")
    for command in ("status", "schema", "site list", "show small.yaml"):
        line = f"{sys.executable} -m hpctrain {command} | head -n 0"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=small.folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert done.stderr == "", command


@requires(tmpfs=True)
def test_read_only_folder__is_named_by_every_command_that_writes(small: SmallRun) -> None:
    small.render("run")
    mount = ["mount", "--bind", str(small.folder), str(small.folder)]
    subprocess.run(mount, check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(small.folder)], check=True)
    try:
        for words, code in (
            (["init", "mantle"], 3),
            (["sample", "mantle", "--steps", "1", "--size", "8,8,8"], 1),
            (["render", "small.yaml", "--as", "other"], 3),
            (["report", "run"], 3),
        ):
            done = hpctrain(*words, cwd=small.folder)
            assert done.returncode == code, (words, done.stderr)
            lines = [line for line in done.stderr.splitlines() if "Read-only file system" in line]
            assert len(lines) == 1, (words, done.stderr)
            assert "Traceback" not in done.stderr
        assert hpctrain("status", cwd=small.folder).returncode == 0
    finally:
        subprocess.run(["umount", str(small.folder)], check=True)
