"""Each sample once an epoch, whoever is interrupted and on however many ranks it goes on."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.integration.mpi.conftest import SmallRun, newest
from tests.requires import requires

SEEN = '''"""A loss beside which a rank writes down its samples, and asks to stop where told."""

import itertools
import os
import signal
from pathlib import Path

from torch import nn

from hpctrain.train.update import Update

_split = Update.split
_steps = itertools.count(1)


def split(self, batch):
    here = Path(os.environ["SEEN"])
    with (here / f"{os.environ.get('HPCTRAIN_RANK', '0')}-{os.getpid()}").open("a") as file:
        for sample in () if batch.is_filler else batch.ids:
            file.write(f"{batch.epoch} {batch.step} {sample}\\n")
    # several ranks agree on it in the step after
    late = int(os.environ.get("HPCTRAIN_WORLD_SIZE", "1")) > 1
    if next(_steps) == int(os.environ["LEAVE_AFTER"]) - late:
        os.kill(os.getpid(), signal.SIGUSR1)
    return _split(self, batch)


Update.split = split


class Loss(nn.MSELoss):
    pass
'''

EPOCHS, STEPS, SAMPLES, BATCH = 5, 4, 20, 6
"""Three full steps and one of two samples an epoch."""
PLAIN = (
    "train.adversary=null",
    f"train.epochs={EPOCHS}",
    f"train.global_batch_size={BATCH}",
    "train.last_batch=keep",
)


DIVIDED = ("data.order.kind=divided", "data.order.parts=3", "data.order.shuffle_distance=0.5")


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    "order",
    [pytest.param((), id="global"), pytest.param(DIVIDED, id="divided", marks=pytest.mark.slow)],
)
def test_samples__each_once_on_1_2_3_and_2_ranks_with_stops_at_random_steps(
    small: SmallRun, order: tuple[str, ...]
) -> None:
    (small.folder / "mine" / "seen.py").write_text(SEEN)
    log = small.folder / small.unique("seen")
    log.mkdir()
    stops = sorted(random.Random(5).sample(range(2, EPOCHS * STEPS), 3))  # noqa: S311
    assert any(stop % STEPS for stop in stops)
    done, before = 0, None
    for ranks, stop in zip((1, 2, 3, 2), (*stops, None), strict=True):
        run = render(small, log, ranks, stop - done if stop else -1, before, order)
        out = small.finish(run, expected=75 if stop else 0)
        epoch, step = divmod(done, STEPS)
        assert before is None or f"resuming from state_{epoch}_step_{step}.pt" in out
        done, before = stop or 0, run
    seen = [line.split() for path in log.iterdir() for line in path.read_text().splitlines()]
    for epoch in range(EPOCHS):
        ids = Counter(int(sample) for e, _, sample in seen if int(e) == epoch)
        assert ids == Counter(range(SAMPLES)), f"epoch {epoch}"
    steps = Counter((int(e), int(s)) for e, s, _ in seen)
    sizes = {size for (_, s), size in steps.items() if s < STEPS - 1}
    assert (sizes, len(steps)) == ({BATCH}, EPOCHS * STEPS)
    assert before is not None
    assert_close(small.finished("resources.ranks_per_node=1", *PLAIN, *order), before)


def render(
    small: SmallRun,
    log: Path,
    ranks: int,
    leave_after: int,
    before: Path | None,
    order: tuple[str, ...],
) -> Path:
    settings = [
        *PLAIN,
        *order,
        "code=[mine]",
        "train.criterion=seen.Loss",
        f"launch.env.SEEN={log}",
        f"launch.env.LEAVE_AFTER='{leave_after}'",
        f"resources.ranks_per_node={ranks}",
    ]
    name = small.unique("part")
    command = [sys.executable, "-m", "hpctrain", "render", "small.yaml", "--as", name]
    command += [word for setting in settings for word in ("--set", setting)]
    if before is not None:
        command += ["--resume-from", str(before)]
    subprocess.run(command, cwd=small.folder, check=True, capture_output=True)
    return small.folder / "jobs" / name


def assert_close(one: Path, other: Path) -> None:
    expected = newest(one)
    for key, value in newest(other).items():
        distance = torch.linalg.vector_norm(value - expected[key])
        assert distance <= 2e-5 * torch.linalg.vector_norm(expected[key]), key
