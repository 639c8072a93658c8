"""The copy of an image before the launch, where the file system stands still."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.render.running import make_run, start, state, wait_for, write_program

SITE = """name: own
title: x
scheduler: local
max_nodes: 1
launcher: {kind: LAUNCHER}
scratch: DISK
container: {copy_to_node: true}
"""
NAME = "my \\x.sif"
ENGINE = 'touch "$HOME/started"'
"""Stands for the ranks; HOME is the run directory."""
HANGS = 'echo $$ >"$HOME/pid.new"; mv "$HOME/pid.new" "$HOME/pid"; trap "" USR1; exec sleep 60'
MPIRUN = """
trap '' USR1
shift "$(($# - 7))"
while [ "$1" != /bin/sh ]; do shift; done
exec "$@"
"""


def copied_run(folder: Path, *settings: str, launcher: str = "none") -> Path:
    """A run of one rank whose image is copied; `cp` and `sha256sum` are to be had in bin."""
    (folder / "disk").mkdir()
    (folder / "own.yaml").write_text(
        SITE.replace("DISK", f"{folder}/disk").replace("LAUNCHER", launcher)
    )
    (folder / NAME).write_bytes(b"an image")
    image = f"container.image={folder}/{NAME}"
    run = make_run(folder, "exit 1", image, *settings, site=str(folder / "own.yaml"))
    write_program(folder / "bin" / "apptainer", ENGINE)
    return run


def begin(run: Path) -> subprocess.Popen[str]:
    return start(run, PATH=f"{run.parent}/bin:/usr/bin:/bin")


def is_alive(run: Path) -> bool:
    pid = (run / "pid").read_text().strip()
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


def test_copy__is_made_then_the_ranks_start(tmp_path: Path) -> None:
    run = copied_run(tmp_path)
    out, _ = (process := begin(run)).communicate(timeout=20)
    assert process.returncode == 0, out
    assert (run / "started").exists()
    assert "s for a copy of the image on each node" in out
    assert "in its own place" not in out
    assert list((tmp_path / "disk").iterdir()) == []
    assert not list((run / "logs").glob("*.sum"))


@pytest.mark.parametrize("launcher", ["none", "openmpi"])
@pytest.mark.parametrize("program", ["cp", "sha256sum"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_copy__that_hangs_is_ended_by_a_warning_and_nothing_starts(
    tmp_path: Path, program: str, number: signal.Signals, launcher: str
) -> None:
    run = copied_run(tmp_path, launcher=launcher)
    write_program(tmp_path / "bin" / program, HANGS)
    if launcher == "openmpi":
        write_program(tmp_path / "bin" / "mpirun", MPIRUN)
    process = begin(run)
    wait_for(run / "pid")
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 75, out
    assert time.monotonic() - began < 10
    assert not (run / "started").exists()
    assert not is_alive(run)
    reason = f"signal {number.name.removeprefix('SIG')}"
    assert state(run) == {"status": "stopped", "stop_reason": reason}
    assert not (run / "STOP").exists()
    assert list((tmp_path / "disk").iterdir()) == []
    assert "Terminated" not in out


@pytest.mark.parametrize("program", ["cp", "sha256sum"])
def test_copy__that_no_signal_ends_holds_the_script_no_longer(tmp_path: Path, program: str) -> None:
    run = copied_run(tmp_path)
    script = run / "run.sh"
    script.write_text(script.read_text().replace("timeout -k 10 ", "timeout -k 1 "))
    write_program(tmp_path / "bin" / program, f"trap '' TERM; {HANGS}")
    process = begin(run)
    wait_for(run / "pid")
    try:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 75
        assert state(run)["status"] == "stopped"
    finally:
        if is_alive(run):
            os.kill(int((run / "pid").read_text()), signal.SIGKILL)
        process.communicate(timeout=20)


def test_copy__that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    run = copied_run(tmp_path)
    text = (run / "run.sh").read_text()
    assert "copy_patience=600 " in text
    (run / "run.sh").write_text(text.replace("copy_patience=600 ", "copy_patience=1 "))
    write_program(tmp_path / "bin" / "cp", HANGS)
    out, _ = (process := begin(run)).communicate(timeout=20)
    assert process.returncode == 0, out
    assert "that is too long; nodes without a copy read" in out
    assert (run / "started").exists(), "the image is there without a copy"
    assert not is_alive(run)


def test_copy__of_an_image_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    run = copied_run(tmp_path)
    (tmp_path / NAME).unlink()
    out, _ = begin(run).communicate(timeout=20)
    assert "s for a copy" not in out
    assert (run / "started").exists(), "the engine says it better"


def test_copy__ended_early_keeps_no_reason_of_the_start_before(tmp_path: Path) -> None:
    run = copied_run(tmp_path)
    before = {"status": "stopped", "saved_step": 7, "stop_reason": "the file STOP"}
    (run / "state.json").write_text(json.dumps(before, indent=1) + "\n")
    write_program(tmp_path / "bin" / "cp", HANGS)
    process = begin(run)
    wait_for(run / "pid")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert state(run) == {"status": "stopped", "saved_step": 7, "stop_reason": "signal TERM"}


def test_copy__ended_early_ends_the_chain(tmp_path: Path) -> None:
    run = copied_run(tmp_path, "chain.max_jobs=3")
    write_program(tmp_path / "bin" / "cp", HANGS)
    process = begin(run)
    wait_for(run / "pid")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 75, out
    assert "no further job of the chain: stopped by signal TERM" in out
