"""Each fault ends the job, is named, and leaves a run that goes on bit by bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.integration.mpi.conftest import SmallRun, newest, wait_until
from tests.integration.mpi.faults import (
    KEPT,
    LONG,
    check_failed,
    ended,
    send,
    start_training,
    state_of,
)
from tests.integration.mpi.test_resume import assert_equal_bits, mpirun_of, ranks_of
from tests.requires import requires
from tests.runs import faulty

FAULTS = {
    "error 1": r"^\[rank 1/2 \S+\] RuntimeError: a fault in the loss",
    "memory 0": r"^\[rank 0/2 \S+\] MemoryError",
    "allocate 1": r"^\[rank 1/2 \S+\] RuntimeError: .*(allocate|memory|overflow)",
    "nan 1": r"^\[rank 1/2 \S+\] epoch \d+, step \d: generator is not a finite number; samples of",
    "hang 1": r"rank 1 on \S+ hangs in epoch \d+, step \d .* at faulty\.py:\d+ in hang; the other",
    "lock 1": r"rank 1 on \S+: no sign of life, while the others wait for it in epoch \d+, step",
}


@requires(mpi=True, horovod=True)
def test_faults_of_one_rank__are_named_and_the_run_goes_on(small: SmallRun) -> None:
    settings = (*LONG, "launch.comm=ddp")
    run = small.render(small.unique("faults"), *settings, *KEPT, "train.watchdog_s=6")
    for fault, pattern in FAULTS.items():
        is_killed = fault in ("hang 1", "lock 1")  # the others leave by themselves
        process = start_training(small, run, is_warm=not is_killed)
        (run / "fault").write_text(fault)
        check_failed(run, ended(run, process), pattern)
        (run / "fault").unlink()
        if is_killed:
            stacks = [(run / "logs" / f"stacks-{rank}.txt").read_text() for rank in (0, 1)]
            assert "reducer.py" in stacks[0]
            assert "faulty.py" in stacks[1]
    small.finish(run)
    assert_equal_bits(small.finished(*settings), run)


@requires(mpi=True, horovod=True)
def test_kill__of_rank_and_launcher_with_ddp(small: SmallRun) -> None:
    """Nothing but the launcher can name a rank that was killed; ranks can name the launcher."""
    run = small.render(small.unique("killed"), *LONG, *KEPT, "launch.comm=ddp")
    process = start_training(small, run)
    os.kill(ranks_of(run)[1], signal.SIGKILL)
    check_failed(run, ended(run, process), r"process rank 1 .* node \S+ exited on +signal 9")
    process = start_training(small, run)
    os.kill(mpirun_of(run), signal.SIGKILL)
    assert process.wait(timeout=60) == 137
    wait_until(lambda: not ranks_of(run))
    check_failed(run, state_of(run), "the launcher on this node has gone")


SIGNALS = [
    (signal.SIGTERM, "rank 1"),
    (signal.SIGINT, "all ranks"),
    (signal.SIGUSR1, "rank 0"),
    (signal.SIGTERM, "all ranks"),
    (signal.SIGINT, "the script"),
    (signal.SIGUSR1, "the script"),
]


@requires(mpi=True, horovod=True)
def test_signals__save_and_leave_whoever_gets_them(small: SmallRun) -> None:
    run = small.render(small.unique("signals"), *LONG, *KEPT)
    for number, whom in SIGNALS:
        process = start_training(small, run)
        send(run, process, number, whom)
        state = ended(run, process, (75,))
        assert state["status"] == "stopped", (number, whom, state)
        assert not (run / "STOP").exists()
    small.finish(run)
    assert_equal_bits(small.finished(*LONG), run)


@requires(mpi=True, horovod=True)
def test_second_start__is_refused_and_takes_nothing_from_the_first(small: SmallRun) -> None:
    run = small.render(small.unique("twice"), *LONG, *KEPT, "train.epochs=2000")
    process = start_training(small, run)
    text = small.finish(run, expected=5)
    assert "this run is training already (host " in text
    assert state_of(run)["status"] == "running"
    assert process.poll() is None
    send(run, process, signal.SIGSTOP, "all ranks")
    (run / "STOP").touch()
    small.finish(run, expected=5)  # the first was asked to stop; the second must not undo that
    send(run, process, signal.SIGCONT, "all ranks")
    assert ended(run, process, (75,))["stop_reason"] == "the file STOP"


def damage(run: Path) -> list[str]:
    """Each of the newest four checkpoints otherwise; returns what the log must say."""
    folder = run / "checkpoints"
    flipped, cut, newer, gone, *_ = sorted(
        folder.glob("state_*.pt"), key=lambda path: -path.stat().st_mtime_ns
    )
    content = bytearray(flipped.read_bytes())
    with zipfile.ZipFile(flipped) as archive:
        record = archive.read(max(archive.infolist(), key=lambda info: info.file_size))
    content[content.index(record) + len(record) // 2] ^= 4
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    state = torch.load(newer, weights_only=True)
    torch.save({**state, "version": 999}, newer)
    gone.unlink()
    return [f"{flipped.name}: altered or torn", f"{cut.name}: torn", f"{newer.name}: written by a"]


@requires(mpi=True, horovod=True)
def test_checkpoints__damaged_ones_are_named_and_passed_over(small: SmallRun) -> None:
    """The link `latest` names the first of them."""
    run = small.render(small.unique("damaged"), *LONG, *KEPT)
    process = start_training(small, run, is_warm=True)
    wait_until(lambda: state_of(run).get("saved_step", 0) > 9)
    (run / "STOP").touch()
    ended(run, process, (75,))
    words = damage(run)
    text = small.finish(run)
    for said in (*words, "resuming from state_"):
        assert said in text
    assert_equal_bits(small.finished(*LONG), run)


SHORT = (*faulty(0), "train.epochs=3", "train.optimizer.learning_rate=0.01")


def with_fault(small: SmallRun, fault: str, *settings: str) -> Path:
    run = small.render(small.unique("nan"), *SHORT, *settings)
    (run / "fault").write_text(fault)
    small.finish(run)
    return run


@requires(mpi=True, horovod=True)
def test_non_finite__skip_leaves_the_step_out_on_all_ranks(small: SmallRun) -> None:
    """A rank that stepped all the same would pull the others away from the run on one rank."""
    skip = "train.non_finite.policy=skip"
    run = with_fault(small, "nan 1 7", skip)
    told = state_of(run)["non_finite"]
    assert told["skipped"] == 1
    assert "epoch 2, step 2: the loss of generator is not a finite number" in told["last"]
    assert "(rank 1 on" in told["last"]
    expected = newest(with_fault(small, "nan 0 7", skip, "resources.ranks_per_node=1"))
    found, undisturbed = newest(run), newest(small.finished(*SHORT))
    for key, value in expected.items():
        size = torch.linalg.vector_norm(value)
        assert torch.linalg.vector_norm(found[key] - value) <= 2e-5 * size, key
    assert any(not torch.allclose(undisturbed[key], found[key], rtol=1e-3) for key in found)


@requires(mpi=True, horovod=True)
def test_non_finite__back_takes_the_last_checkpoint_and_lower_rates(small: SmallRun) -> None:
    run = with_fault(small, "nan 0 7", "train.non_finite={policy: back, rate_factor: 0.1}")
    told = state_of(run)["non_finite"]
    assert (told["returns"], told["rate_factor"]) == (1, 0.1)
    lines = map(json.loads, (run / "logs" / "metrics.jsonl").read_text().splitlines())
    steps = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in steps] == list(range(1, 16))
    rates = [line["learning_rate/generator"] for line in steps]
    assert rates == [0.01] * 5 + [0.001] * 10
    state = torch.load(run / "checkpoints" / "latest", weights_only=True)
    assert state["non_finite"]["rate_factor"] == 0.1


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    ("policy", "pattern"),
    [
        ("{policy: skip, max_skips: 2}", "2 steps of this epoch were skipped already"),
        ("{policy: back, max_returns: 1}", "the run went back 1 times already"),
    ],
)
def test_non_finite__is_bounded(small: SmallRun, policy: str, pattern: str) -> None:
    run = small.render(small.unique("nan"), *SHORT, f"train.non_finite={policy}")
    (run / "fault").write_text("nan 1")
    small.finish(run, expected=6)
    state = state_of(run)
    assert pattern in state["message"]
    kept = sorted(path.name for path in (run / "checkpoints").glob("state*"))
    assert kept == (["state_0.pt"] if "back" in policy else [])


@requires(mpi=True, horovod=True, gcc=True)
def test_file_system__slow_or_with_errors(small: SmallRun, tmp_path: Path) -> None:
    """Slow, it holds nothing up for good; with errors, the file is named and the older stays."""
    shim, word = tmp_path / "shim.so", tmp_path / "word"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    env = (f"launch.env.LD_PRELOAD={shim}", f"launch.env.SHIM={word}")
    run = small.render(small.unique("shim"), *LONG, *KEPT, *env, "train.watchdog_s=4")
    word.write_text("slow")
    process = start_training(small, run)
    word.write_text("error")
    state = ended(run, process, (6,))
    check_failed(
        run, state, r"state_\d+\S*\.pt: cannot be written \(\[Errno 5\] Input/output error\)"
    )
    assert "the newest whole checkpoint is state_" in state["message"]
    word.unlink()
    small.finish(run)
    assert_equal_bits(small.finished(*LONG), run)


LEFT = """#!/bin/sh
mkdir -p "/tmp/ompi.$$" && touch "/tmp/ompi.$$/pmix.$(uname -n).tool"
exec "{mpirun}" "$@"
"""
"""An mpirun with the number of one that was killed: only a file with the name shows it."""


@requires(mpi=True)
def test_start__under_the_number_of_a_launcher_that_was_killed(
    small: SmallRun, tmp_path: Path
) -> None:
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    run = small.render(small.unique("reused"), "launch.comm=mpi")
    script = run / "run.sh"
    text = script.read_text()
    wrapper = tmp_path / "mpirun"
    wrapper.write_text(LEFT.format(mpirun=mpirun))
    wrapper.chmod(0o755)
    assert text.count("command=(\n  mpirun ") == 1
    script.write_text(text.replace("command=(\n  mpirun ", f"command=(\n  {wrapper} "))
    small.finish(run)
