"""`hpctrain profile`, and a profile within a run: real steps, real traces, nothing else touched."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_resume import assert_equal_bits
from tests.requires import requires

RANKS = 2
SETTINGS = ("train.epochs=2",)


def digests(run: Path) -> dict[str, str]:
    """Digest of every file of a run directory, but those in profile/."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and "profile" not in path.relative_to(run).parts[:1]
    }


def profile(small: SmallRun, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpctrain", "profile", str(run), *options]
    return subprocess.run(command, cwd=small.folder, capture_output=True, text=True)


@requires(mpi=True, horovod=True)
def test_profile__tells_where_time_goes_and_touches_nothing(small: SmallRun) -> None:
    run = small.finished(*SETTINGS)
    before = digests(run)
    done = profile(small, run, "--steps", "2", "--ranks", str(RANKS))
    assert done.returncode == 0, done.stderr
    assert digests(run) == before
    summary = json.loads((run / "profile" / "summary.json").read_text())
    assert sum(summary["shares"].values()) == pytest.approx(1)
    assert (summary["ranks"], summary["batch_size_per_rank"]) == (RANKS, 2)
    assert summary["step_s"] > 0
    assert summary["memory_peak_bytes"] > 2**20
    assert any("conv" in found["name"] for found in summary["operators"])
    assert "2 ranks x 2 samples" in done.stdout
    assert summary["advice"] in done.stdout
    traces = sorted(path.name for path in (run / "profile").glob("*.json"))
    assert traces == [*(f"rank-{i}.pt.trace.json" for i in range(RANKS)), "summary.json"]
    events = json.loads((run / "profile" / "rank-0.pt.trace.json").read_text())["traceEvents"]
    optimizers = {e["name"] for e in events if e.get("name", "").startswith("Optimizer.step")}
    assert len(optimizers) >= 1


@requires(mpi=True, horovod=True)
def test_profile_variable__profiles_the_run_and_changes_nothing(
    small: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small.finished(*SETTINGS)
    run = small.render(small.unique("profiled"), *SETTINGS)
    monkeypatch.setenv("HPCTRAIN_PROFILE", "2")
    assert "traces and a table of where time goes" in small.finish(run)
    assert (run / "profile" / "summary.txt").is_file()
    assert_equal_bits(whole, run)


def test_profile__a_run_that_cannot_train_says_why(small: SmallRun) -> None:
    run = small.render(small.unique("broken"), *SETTINGS)
    (run / "index.csv").write_text("no index\n")
    done = profile(small, run, "--steps", "2")
    assert done.returncode != 0
    assert "the profiled steps failed; the log's end" in done.stderr
    assert not (run / "profile").exists()
