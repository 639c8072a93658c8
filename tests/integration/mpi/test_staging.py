"""Copies on the node's disk: bit-equal, reused, taken away; torn ones, and no room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import warm
from tests.integration.mpi.conftest import SmallRun, newest, wait_until
from tests.requires import requires
from tests.runs import slow

pytestmark = requires(mpi=True, horovod=True)

PLAIN = ("train.adversary=null",)
FEW_STEPS = ("train.global_batch_size=16",)
SLOW_COPY = '''"""Python imports this at its start: copying tells that it has begun, and waits."""

import os
import time
from pathlib import Path

from hpctrain.staging.copying import Progress

_add = Progress.add


def add(self, count):
    _add(self, count)
    Path(os.environ["BEGUN"]).touch()
    while not self.is_cancelled:
        time.sleep(0.01)


if "BEGUN" in os.environ:
    Progress.add = add
'''


def staged(folder: Path) -> tuple[str, ...]:
    return (*PLAIN, "data.stage=node_local", f"data.stage_dir={folder}")


def facts(run: Path) -> dict:
    return json.loads((run / "state.json").read_text())["staging"]


def left(folder: Path) -> list[Path]:
    """Stages that are still there."""
    return [p for p in folder.glob("hpctrain-*/*/*") if p.is_dir()]


def total(small: SmallRun) -> int:
    return sum(p.stat().st_size for p in (small.folder / "data").glob("*.nc"))


def assert_equal_bits(one: Path, other: Path) -> None:
    first, second = newest(one), newest(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert value.equal(second[key]), key


@pytest.mark.slow
def test_two_ranks__train_on_copies_bit_for_bit_and_take_them_away(
    small: SmallRun, tmp_path: Path
) -> None:
    run = small.render(small.unique("staged"), *staged(tmp_path))
    out = small.finish(run)
    assert_equal_bits(small.finished(*PLAIN), run)
    page = facts(run)
    assert (page["copied_bytes"], page["reused_bytes"]) == (total(small), 0)
    assert (page["nodes"], page["staged_nodes"], page["bytes_per_s"] > 0) == (1, 1, True)
    assert f"{small.folder}/data is read from {tmp_path}/hpctrain-{os.getuid()}/" in out
    assert left(tmp_path) == []


@pytest.mark.slow
@requires(tmpfs=True)
def test_disk_that_is_too_small__data_are_read_in_place(small: SmallRun, tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        run = small.render(small.unique("staged"), *staged(tmp_path))
        out = small.finish(run)
        assert left(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert out.count("data are read in place") == 1
    assert f"{tmp_path} has 1.0 MB left, and the files of this node need" in out
    assert_equal_bits(small.finished(*PLAIN), run)
    assert (facts(run)["staged_nodes"], facts(run)["nodes"]) == (0, 1)


@pytest.mark.slow
def test_chain__the_next_job_takes_the_copies_and_the_last_one_takes_them_away(
    small: SmallRun, tmp_path: Path
) -> None:
    # so short that a warning at any moment is believed to mean that the time is up
    chain = ("chain.max_jobs=50", "resources.walltime=00:01:40", "train.epochs=3")
    run = small.render(small.unique("chained"), *staged(tmp_path), *slow(0.2), *chain)
    process = small.start(run, warm.environment())
    wait_until(lambda: "global_step" in json.loads((run / "state.json").read_text()))
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=240) == 0, (run / "out.txt").read_text()
    out = (run / "out.txt").read_text()
    jobs = (run / "chain.log").read_text().splitlines()
    assert len(jobs) > 1
    assert out.count(": 0.0 MB copied in") == len(jobs) - 1
    assert (facts(run)["copied_bytes"], facts(run)["reused_bytes"]) == (0, total(small))
    assert left(tmp_path) == []


@pytest.mark.slow
def test_killed_in_mid_copy__the_script_cleans_and_the_next_start_copies_anew(
    small: SmallRun, tmp_path: Path
) -> None:
    hook, begun, scratch = tmp_path / "hook", tmp_path / "begun", tmp_path / "scratch"
    for folder in (hook, scratch):
        folder.mkdir()
    (hook / "sitecustomize.py").write_text(SLOW_COPY)
    run = small.render(
        small.unique("killed"), *staged(scratch), f"code=[{hook}]", f"launch.env.BEGUN={begun}"
    )
    process = small.start(run)
    wait_until(begun.exists)
    (stage,) = left(scratch)
    torn = list((stage / "temporary").iterdir())
    assert torn
    assert not list((stage / "files").iterdir())
    state = json.loads((run / "state.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    assert process.wait(timeout=120) != 0
    assert left(scratch) == [], (run / "out.txt").read_text()
    again = small.render(small.unique("killed"), *staged(scratch), *FEW_STEPS)
    small.finish(again)
    assert facts(again)["copied_bytes"] == total(small)


@pytest.mark.slow
def test_two_runs__one_that_ends_leaves_the_other_its_copies(
    small: SmallRun, tmp_path: Path
) -> None:
    long = small.render(small.unique("long"), *staged(tmp_path), *slow(0.3), "train.epochs=200")
    process = small.start(long, warm.environment())
    wait_until(lambda: "global_step" in json.loads((long / "state.json").read_text()))
    short = small.render(small.unique("short"), *staged(tmp_path), *FEW_STEPS)
    small.finish(short)
    assert facts(short)["reused_bytes"] == total(small)
    (stage,) = left(tmp_path)
    assert len(list((stage / "files").iterdir())) == 3
    (long / "STOP").touch()
    assert process.wait(timeout=120) == 75
    assert left(tmp_path) == []


@pytest.mark.slow
def test_stop_in_mid_copy__all_ranks_leave_as_from_a_stop_and_take_the_copies_away(
    small: SmallRun, tmp_path: Path
) -> None:
    hook, begun, scratch = tmp_path / "hook", tmp_path / "begun", tmp_path / "scratch"
    for folder in (hook, scratch):
        folder.mkdir()
    (hook / "sitecustomize.py").write_text(SLOW_COPY)
    run = small.render(
        small.unique("stopped"), *staged(scratch), f"code=[{hook}]", f"launch.env.BEGUN={begun}"
    )
    process = small.start(run)
    wait_until(begun.exists)
    (run / "STOP").touch()
    assert process.wait(timeout=120) == 75
    state = json.loads((run / "state.json").read_text())
    assert (state["status"], state["stop_reason"]) == ("stopped", "the file STOP")
    assert "global_step" not in state
    assert "stopped by the file STOP before the first step" in (run / "out.txt").read_text()
    assert left(scratch) == []


def test_original_that_was_changed__ends_all_ranks_with_its_name(
    small: SmallRun, tmp_path: Path
) -> None:
    run = small.render(small.unique("changed"), *staged(tmp_path))
    path = small.folder / "data" / "step001.nc"
    before, status = path.read_bytes(), path.stat()
    try:
        path.write_bytes(before[:-4] + b"\1\2\3\4")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # only its content tells
        out = small.finish(run, expected=2)
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert f"{path}: content has changed since the job was rendered" in out
    assert left(tmp_path) == []
