"""What a run has is kept: checkpoints through faults, full disks and second thoughts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.commands import environment, hpctrain, one_message, put_nan, state, told, train, tree
from tests.requires import requires
from tests.runs import SmallRun, newest, wait_until

ALONE = "resources.ranks_per_node=1"
ENDLESS = ("train.epochs=1000", "train.checkpoints.keep_last=1000")


@pytest.fixture(scope="module")
def started(shared: SmallRun) -> Path:
    """A run of two epochs that finished."""
    run = shared.render("started", ALONE, "launch.comm=single", "train.epochs=2")
    assert train(run).returncode == 0
    return run


def test_render__again_without_change_does_nothing(shared: SmallRun, started: Path) -> None:
    before = tree(started)
    words = [ALONE, "launch.comm=single", "train.epochs=2"]
    done = hpctrain(
        *("render", "small.yaml", "--as", "started"),
        *(word for setting in words for word in ("--set", setting)),
        cwd=shared.folder,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "jobs/started: nothing changed" in done.stdout
    assert tree(started) == before


def test_render__over_a_run_that_has_started_is_refused(shared: SmallRun, started: Path) -> None:
    before = tree(shared.folder)
    done = hpctrain("render", "small.yaml", "--as", "started", cwd=shared.folder)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("hpctrain: jobs/started: this run has started, and ")
    assert "--as started-2" in line
    assert tree(shared.folder) == before


def test_checkpoints__all_torn_are_left_for_repair(started: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(started, run, symlinks=True)
    for path in (run / "checkpoints").glob("state_*.pt"):
        path.write_bytes(path.read_bytes()[:-2000])
    before = tree(run / "checkpoints")
    done = train(run)
    assert done.returncode == 6
    *warnings, last = told(done.stderr)
    assert [re.sub(".*/(state_..pt: torn).*", r"\1", line) for line in warnings] == [
        "state_2.pt: torn",
        "state_1.pt: torn",
    ]
    assert "none of 2 checkpoints is whole; restore one, or empty the folder" in last
    assert tree(run / "checkpoints") == before


def test_schedule__changed_by_hand_is_refused_and_told_once(started: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(started, run, symlinks=True)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("global_batch_size: 4", "global_batch_size: 2"))
    before = tree(run / "checkpoints")
    done = train(run)
    assert done.returncode == 6
    assert "global_batch_size 4 -> 2" in one_message(done.stderr)
    assert "--allow-schedule-change" in done.stderr
    assert tree(run / "checkpoints") == before


def test_nan__in_the_middle_leaves_the_newest_checkpoint_and_goes_on_when_mended(
    small: SmallRun,
) -> None:
    run = small.render("run", ALONE, "launch.comm=single", *ENDLESS)
    path = small.folder / "data" / "step001.nc"
    good, times = path.read_bytes(), path.stat()
    env = environment(PYTHONPATH=str(run / "code"))
    command = [sys.executable, "-m", "hpctrain.train", str(run)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        wait_until((run / "checkpoints" / "state_1.pt").exists)
        put_nan(path, 3, 4, 5)
        # as if it had always been there: a file that has changed is told of as such
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 2, stderr
    found = "'vx' is nan at index [r 4, lat 3, lon 5] (r 5100, lat 48, lon 45)"
    assert found in one_message(stderr)
    kept = tree(run / "checkpoints")
    assert all(np.isfinite(value.numpy()).all() for value in newest(run).values())

    path.write_bytes(good)  # another time of change, but the content that was indexed
    (run / "STOP").touch()
    done = train(run)
    assert done.returncode == 75, done.stderr
    assert f"resuming from {kept['latest'].removeprefix('-> ')}" in done.stderr
    assert kept.items() - tree(run / "checkpoints").items() == {("latest", kept["latest"])}


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of that size in a folder; yields a function that gives it another size."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        subprocess.run(command, check=True)

    mount(f"size={num_bytes}")
    try:
        yield lambda size: mount(f"remount,size={size}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@requires(tmpfs=True)
def test_full_disk__older_checkpoint_stays_whole_and_the_run_goes_on(
    small: SmallRun, started: Path
) -> None:
    run = small.render("run", ALONE, "launch.comm=single", "train.epochs=2")
    checkpoint = (started / "checkpoints" / "state_2.pt").stat().st_size
    with small_disk(run / "checkpoints", checkpoint * 3 // 2) as resize:
        done = train(run)
        assert done.returncode == 6
        message = one_message(done.stderr)
        assert "state_2.pt: cannot be written ([Errno 28] No space left on device)" in message
        assert "the newest whole checkpoint is state_1.pt; make room" in message
        assert sorted(tree(run / "checkpoints")) == ["latest", "state_1.pt"]
        assert (state(run)["status"], state(run)["checkpoint"]) == ("failed", "state_1.pt")
        resize(checkpoint * 3)
        done = train(run)
        assert done.returncode == 0, done.stderr
        assert "resuming from state_1.pt" in done.stderr
        assert newest(run).keys() == newest(started).keys()
        for key, value in newest(started).items():
            assert newest(run)[key].equal(value), key


def fill(path: Path) -> None:
    """Take what room is left."""
    with path.open("wb", 0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass


@requires(tmpfs=True)
def test_full_disk__under_everything_is_told_without_traceback(small: SmallRun) -> None:
    jobs = small.folder / "jobs"
    jobs.mkdir()
    with small_disk(jobs, 1 << 24):
        run = small.render("run", ALONE, "launch.comm=single", *ENDLESS)
        env = environment(PYTHONPATH=str(run / "code"))
        command = [sys.executable, "-m", "hpctrain.train", str(run)]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
            wait_until((run / "checkpoints" / "state_1.pt").exists)
            fill(jobs / "fill")
            stderr = process.communicate(timeout=60)[1]
        assert process.returncode == 6, stderr
        assert "Traceback" not in stderr
        assert "No space left on device" in told(stderr)[-1]
        (jobs / "fill").unlink()
        (run / "STOP").touch()
        assert train(run).returncode == 75
