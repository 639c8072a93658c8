from __future__ import annotations

import pytest

from hpctrain.config.job import Job
from hpctrain.train.advice import advise, worst
from tests.runs import JOB

ZERO = {"data": 0.0, "communication": 0.0, "optimizer": 0.0, "other": 0.0}


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (
            "data",
            "41% of the time is waiting for data, read by 2 threads a rank; raise data.workers",
        ),
        ("communication", "waiting for other ranks; take fewer ranks"),
        ("optimizer", "optimizers' steps"),
        ("other", "train.log_every_steps (now 1)"),
    ],
)
def test_advise__names_what_takes_time_and_what_to_do(phase: str, words: str) -> None:
    shares = {**ZERO, "forward_backward": 0.59, phase: 0.41}
    assert worst(shares) == phase
    assert words in advise(shares, Job.model_validate(JOB), workers=2)


def test_advise__nothing_waits() -> None:
    shares = {**ZERO, "forward_backward": 0.9, "data": 0.1}
    assert "forward and backward take 90%: nothing waits" in advise(
        shares, Job.model_validate(JOB), workers=1
    )
    assert worst({}) is None
