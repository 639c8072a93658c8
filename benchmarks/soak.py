"""Kill a training of two ranks again and again, at random moments; it must lose nothing.

    python benchmarks/soak.py --kills 200 --minutes 30 --seed 0

Each round starts the run script, waits a random time, and kills or signals a rank, all ranks, the
launcher or the script, or leaves a file STOP. Every start must go on from the newest checkpoint
there is. At the end the parameters must be, bit for bit, those of a run that nobody disturbed.
The victims and moments follow from the seed; how far a training has come by then does not.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.integration.mpi.test_resume import mpirun_of, ranks_of
from tests.runs import SmallRun, make_small, slow, wait_until

EPOCHS = 100000
KINDS = (
    *(("rank", signal.SIGKILL), ("rank", signal.SIGKILL), ("mpirun", signal.SIGKILL)),
    *(("script", signal.SIGKILL), ("all", signal.SIGKILL), ("rank", signal.SIGTERM)),
    *(("all", signal.SIGTERM), ("script", signal.SIGTERM), ("script", signal.SIGINT)),
    *(("rank", signal.SIGUSR1), ("STOP", None), ("mpirun", signal.SIGTERM)),
)


def settings(comm: str) -> tuple[str, ...]:
    """A regression of short steps that saves at each of them."""
    return (
        *(f"train.epochs={EPOCHS}", f"train.validate_every_epochs={EPOCHS}"),
        *("train.checkpoints.every_steps=1", "train.checkpoints.keep_last=100000"),
        *("train.adversary=null", f"launch.comm={comm}", "resources.walltime=24:00:00"),
        *slow(0.02),
    )


def newest(run: Path) -> tuple[int, int]:
    """Epoch and step of the newest checkpoint."""
    names = os.listdir(run / "checkpoints")  # also what a killed write has left, which is none
    found = [m for name in names if (m := re.fullmatch(r"state_(\d+)(?:_step_(\d+))?\.pt", name))]
    return max(((int(m[1]), int(m[2] or 0)) for m in found), default=(0, 0))


def strike(run: Path, process, victim: str, number, rng: random.Random) -> None:
    """Bring one fault into the run, if it is still there."""
    ranks = ranks_of(run)
    if victim == "STOP":
        (run / "STOP").touch()
    elif victim == "script":
        process.send_signal(number)
        if number == signal.SIGKILL:  # the training outlives its script; it is asked to stop
            time.sleep(0.2)
            (run / "STOP").touch()
    elif victim == "mpirun" and 0 in ranks:
        os.kill(mpirun_of(run), number)
    elif ranks:
        chosen = list(ranks.values()) if victim == "all" else [rng.choice(list(ranks.values()))]
        for pid in chosen:
            os.kill(pid, number)
    else:  # the ranks are not there yet
        process.send_signal(signal.SIGTERM)


def round_(small: SmallRun, run: Path, rng: random.Random) -> tuple[str, str, float]:
    """One start, one fault, one end; returns what was done, the outcome and the seconds to it."""
    before = newest(run)
    (run / "out.txt").unlink(missing_ok=True)
    (victim, number), moment = rng.choice(KINDS), rng.uniform(0.2, 8.0)
    process = small.start(run)
    time.sleep(moment)
    began = time.monotonic()
    try:
        strike(run, process, victim, number, rng)
    except (ProcessLookupError, FileNotFoundError, KeyError):
        process.send_signal(signal.SIGTERM)
    had_begun = "first step done" in (run / "out.txt").read_text() or newest(run) > before
    try:
        code = process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        # a rank that is starting listens to no SIGUSR1 yet, and a script to no file STOP
        is_soft = number in (None, signal.SIGUSR1)
        assert is_soft, f"{victim} {number} did nothing"
        assert not had_begun, f"{victim} {number} was not heard"
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    wait_until(lambda: not ranks_of(run), 120)
    seconds = time.monotonic() - began
    text = (run / "out.txt").read_text()
    found = re.search(r"resuming from state_(\d+)(?:_step_(\d+))?\.pt", text)
    resumed = (int(found[1]), int(found[2] or 0)) if found else None
    assert resumed in (None, before), f"went on from {resumed}, but had {before}\n{text}"
    assert newest(run) >= before, "a checkpoint was lost"
    outcome = "saved" if code == 75 else "ended" if had_begun else "ended in its start"
    (run / "STOP").unlink(missing_ok=True)
    return f"{victim} {number.name if number else ''}".strip(), outcome, seconds


def same_bits(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same models and optimizers."""
    first, second = (torch.load(path, weights_only=True) for path in (one, other))
    return all(
        torch.equal(value, second["models"][name][key])
        for name, values in first["models"].items()
        for key, value in values.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--comm", default="ddp", help="communicator (default: ddp)")
    arguments = parser.parse_args()
    # a shell's background job ignores SIGINT, and so would every script that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(arguments.seed)
    end = time.monotonic() + 60 * arguments.minutes
    rows: Counter[tuple[str, str]] = Counter()
    longest: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        small = make_small(Path(folder))
        run = small.render("soak", *settings(arguments.comm))
        for _ in range(arguments.kills):
            if time.monotonic() > end:
                break
            *row, seconds = round_(small, run, rng)
            key = (row[0], row[1])
            rows[key] += 1
            longest[key] = max(longest.get(key, 0.0), seconds)
            print(f"{sum(rows.values()):4} {key[0]:16} {key[1]:20} {seconds:5.1f} s", flush=True)
        epoch = newest(run)[0]
        whole = small.render("whole", *settings(arguments.comm))
        process = small.start(whole)
        wait_until(lambda: newest(whole)[0] > epoch, 3600)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        is_same = same_bits(*(r / "checkpoints" / f"state_{epoch}.pt" for r in (run, whole)))
    print(f"\n{'fault':16} {'outcome':20} {'times':>5} {'longest':>9}")
    for key, count in sorted(rows.items()):
        print(f"{key[0]:16} {key[1]:20} {count:5} {longest[key]:7.1f} s")
    total = sum(rows.values())
    print(f"\n{total} faults, {epoch} epochs; each start took the newest checkpoint")
    print(f"parameters equal an undisturbed run's bit by bit: {'yes' if is_same else 'NO'}")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
