"""The trainer refuses initial weights and styles that are not those the job was rendered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpctrain.config.load import read_resolved
from hpctrain.errors import DataError
from hpctrain.index.beside import WEIGHTS, verify_beside
from hpctrain.provenance.run import read_manifest
from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_leaving import ALONE, alone


@pytest.fixture
def weights(small: SmallRun, tmp_path: Path) -> Path:
    path = tmp_path / "state_1.pt"
    path.write_bytes(b"no weights")
    return path


def test_start__weights_of_another_content(small: SmallRun, weights: Path) -> None:
    run = small.render(small.unique("begin"), *ALONE, f"train.initial_weights={{path: {weights}}}")
    weights.write_bytes(b"on weights")
    done = alone(run, "")
    assert done.returncode == 2, done.stderr
    assert f"{weights}: content has changed since the job was rendered; restore" in done.stderr
    # of a run that goes on nobody needs them: this one is ended by its checkpoint
    (run / "checkpoints" / "state_1.pt").write_bytes(b"torn")
    done = alone(run, "")
    assert "none of 1 checkpoints is whole" in done.stderr


def test_start__what_is_compared(small: SmallRun, weights: Path) -> None:
    run = small.render(small.unique("begin"), *ALONE, f"train.initial_weights={{path: {weights}}}")
    job, page = read_resolved(run / "config.yaml"), read_manifest(run)
    root, time_ns = small.folder / "data", weights.stat().st_mtime_ns
    verify_beside(job, page, root, content=True)
    weights.write_bytes(b"on weights")
    os.utime(weights, ns=(time_ns, time_ns))
    verify_beside(job, page, root)  # size and time of change are what they were
    with pytest.raises(DataError, match="content has changed"):
        verify_beside(job, page, root, content=True)
    weights.write_bytes(b"less")
    with pytest.raises(DataError, match="4 bytes, 10 when the job was rendered"):
        verify_beside(job, page, root)
    weights.unlink()
    with pytest.raises(DataError, match="No such file"):
        verify_beside(job, page, root)
    verify_beside(job, page, root, but=(WEIGHTS,))
