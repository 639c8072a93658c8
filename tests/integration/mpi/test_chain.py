"""A training longer than its walltime: the chain ends where one long job would have ended."""

from __future__ import annotations

import json
import re

from tests.integration.mpi.test_resume import assert_equal_bits
from tests.requires import requires
from tests.runs import SmallRun, slow

LONG = ("train.epochs=10", "train.validate_every_epochs=10")
"""50 steps."""
MARGIN_S = 30
"""What the trainer keeps free before the deadline for a step and a checkpoint, at least."""


@requires(mpi=True, horovod=True)
def test_chain__equals_one_long_job(small: SmallRun) -> None:
    whole = small.finished(*LONG, *slow(0))
    chain = ("chain.max_jobs=50", "launch.warning_s=3")
    run = small.render(small.unique("chain"), *LONG, *slow(0.15), *chain)
    script = run / "run.sh"
    text = script.read_text()
    assert "+ 600))" in text
    script.write_text(text.replace("+ 600))", f"+ {MARGIN_S + 6}))"))  # seconds, not ten minutes

    out = small.finish(run)
    log = [line.split("\t") for line in (run / "chain.log").read_text().splitlines()]
    assert len(log) >= 2, out
    assert [words[-1] for words in log] == ["goes on"] * (len(log) - 1) + ["finished"]
    steps = [int(words[4]) for words in log]
    assert steps == sorted(set(steps)), "each job made steps"
    assert len(re.findall(r"resuming from", out)) == len(log) - 1
    state = json.loads((run / "state.json").read_text())
    assert (state["status"], state["saved_step"]) == ("finished", steps[-1])
    assert "stop_reason" not in state
    assert_equal_bits(whole, run)
