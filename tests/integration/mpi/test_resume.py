"""Stopped and started again, a run ends bit by bit where it would have ended."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch

from tests import warm
from tests.integration.mpi.conftest import SmallRun, newest, wait_until
from tests.requires import requires

EPOCHS = 20  # of five steps each, long enough to be interrupted
LONG = (f"train.epochs={EPOCHS}", "train.checkpoints.keep_last=1000")
TWO_EPOCHS = "train.epochs=2"
EVERY_STEP = "train.checkpoints.every_steps=1"


def ranks_of(run: Path) -> dict[int, int]:
    """Process ids of the ranks of a run, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"hpctrain.train" in command and os.fsencode(run) in command:
            rank = [v for v in environment if v.startswith(b"HPCTRAIN_RANK=")]
            if rank:
                found[int(rank[0].split(b"=")[1])] = int(entry.name)
    return found


def mpirun_of(run: Path) -> int:
    """Process id of the launcher of a run: the parent of its ranks."""
    status = Path(f"/proc/{ranks_of(run)[0]}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("PPid")).split()[1])


def assert_equal_bits(one: Path, other: Path) -> None:
    expected, found = newest(one), newest(other)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("victim", ["rank 0", "rank 1", "mpirun"])
def test_kill__loses_at_most_the_work_since_the_last_checkpoint(
    small: SmallRun, victim: str
) -> None:
    whole = small.finished(*LONG)
    killed = small.render(small.unique("killed"), *LONG, EVERY_STEP)

    process = small.start(killed)
    wait_until(lambda: (killed / "checkpoints" / "state_0_step_3.pt").exists())
    pid = mpirun_of(killed) if victim == "mpirun" else ranks_of(killed)[int(victim[-1])]
    os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    wait_until(lambda: not ranks_of(killed), 60)
    state = json.loads((killed / "state.json").read_text())
    assert state["status"] == "failed"

    text = small.finish(killed)
    assert "resuming from state_" in text
    assert_equal_bits(whole, killed)


@pytest.mark.slow
@requires(mpi=True, horovod=True)
def test_kill__in_a_stage_of_smaller_crops_goes_on_bit_by_bit(small: SmallRun) -> None:
    crops = (
        "data.crop_stages=[{epochs: 1, crop: [2, 4, 4]}, {epochs: 7, crop: [3, 4, 4]}]",
        "train.epochs=9",
        "train.pretrain_epochs=2",
        "train.checkpoints.keep_last=1000",
    )
    whole, killed = (small.render(small.unique(name), *crops) for name in ("whole", "killed"))
    assert "stage 3 of 3 from epoch 9 on: crops of 4 x 4 x 4" in small.finish(whole)

    process = small.start(killed)
    wait_until(lambda: (killed / "checkpoints" / "state_2.pt").exists())
    os.kill(ranks_of(killed)[0], signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    wait_until(lambda: not ranks_of(killed), 60)

    text = small.finish(killed)
    assert re.search(r"resuming from state_[2-7]\.pt", text)
    assert "stage 2 of 3" in text
    assert_equal_bits(whole, killed)


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    ("comm", "way"),
    [
        ("horovod", "SIGTERM to the script"),
        ("horovod", "STOP file"),
        ("ddp", "SIGTERM to the script"),
        ("ddp", "STOP file"),
        ("mpi", "STOP file"),
    ],
)
def test_stop__saves_leaves_with_75_and_goes_on(small: SmallRun, comm: str, way: str) -> None:
    settings = LONG if comm == "horovod" else (*LONG, f"launch.comm={comm}")
    whole = small.finished(*settings)
    stopped = small.render(small.unique("stopped"), *settings)

    process = small.start(stopped, warm.environment())
    metrics = stopped / "logs" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 1)
    if way == "STOP file":
        (stopped / "STOP").touch()
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 75, (stopped / "out.txt").read_text()
    assert json.loads((stopped / "state.json").read_text())["status"] == "stopped"
    assert not ranks_of(stopped)

    small.finish(stopped)
    assert_equal_bits(whole, stopped)
    steps = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [s["step"] for s in steps if s["kind"] == "train"] == list(range(1, 5 * EPOCHS + 1))


@requires(mpi=True, horovod=True)
def test_resume__on_another_number_of_ranks(small: SmallRun) -> None:
    whole = small.finished(*LONG)
    first = small.render(small.unique("first"), *LONG, EVERY_STEP, "resources.ranks_per_node=2")
    process = small.start(first, warm.environment())
    wait_until(lambda: (first / "checkpoints" / "state_0_step_2.pt").exists())
    (first / "STOP").touch()
    assert process.wait(timeout=60) == 75
    second = small.render(small.unique("second"), *LONG, "resources.ranks_per_node=1")
    (second / "checkpoints").mkdir(exist_ok=True)
    newest_name = os.readlink(first / "checkpoints" / "latest")
    (second / "checkpoints" / newest_name).write_bytes(
        (first / "checkpoints" / newest_name).read_bytes()
    )
    assert f"resuming from {newest_name}" in small.finish(second)
    expected, found = newest(whole), newest(second)
    for key, value in expected.items():
        distance = torch.linalg.vector_norm(found[key] - value)
        assert distance <= 2e-5 * torch.linalg.vector_norm(value), key


@requires(mpi=True, horovod=True)
def test_torn_checkpoint__the_one_before_is_used(small: SmallRun) -> None:
    whole = small.finished(TWO_EPOCHS)
    torn = small.render(small.unique("torn"), TWO_EPOCHS)
    small.finish(torn)
    path = torn / "checkpoints" / "state_2.pt"
    path.write_bytes(path.read_bytes()[:-2000])
    text = small.finish(torn)
    assert "state_2.pt: torn" in text
    assert "resuming from state_1.pt" in text
    assert_equal_bits(whole, torn)


@requires(mpi=True, horovod=True)
def test_finished__starting_again_does_nothing(small: SmallRun) -> None:
    run = small.render(small.unique("run"))
    small.finish(run)
    before = (run / "checkpoints" / "state_1.pt").read_bytes()
    small.finish(run)
    assert (run / "checkpoints" / "state_1.pt").read_bytes() == before
    assert json.loads((run / "state.json").read_text())["status"] == "finished"


@requires(mpi=True, horovod=True)
def test_changed_schedule__is_refused(small: SmallRun) -> None:
    run = small.render(small.unique("run"))
    small.finish(run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 1\n", "epochs: 3\n", 1))
    text = small.finish(run, expected=6)
    assert "epochs 1 -> 3" in text
    assert "--allow-schedule-change" in text
