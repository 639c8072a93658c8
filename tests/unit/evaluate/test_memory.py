"""Memory of an evaluation, in a process of its own: neither members nor files make it grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.predict.made import make_run

FIELD_MB = 24 * 96 * 96 * 4 / 1e6
CODE = """
import resource, sys
from pathlib import Path
from hpctrain.evaluate.command import evaluate_run
peaks = []
for members, files in ((2, 1), (0, 8), (40, 1)):
    evaluate_run(Path(sys.argv[1]), members, files, memory_mb=30)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
print(*peaks)
"""


@pytest.mark.slow
def test_peak__with_many_members_and_files_is_that_of_few(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(9):
        field = rng.standard_normal((1, 24, 96, 96)).astype(np.float32)
        np.save(tmp_path / f"f{i}.npy", field)
    data = {"targets": ["f*.npy"], "geometry": "box", "crop": [6, 12, 12], "validation_steps": 8}
    generator = {"kind": "srsgan", "channels": {"base": 2, "min": 2, "max": 2}}
    train = {"task": "super_resolution", "upscale_factor": 2, "generator": generator}
    run = make_run(tmp_path, data, train)
    words = [sys.executable, "-c", CODE, str(run)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    few, files, members = map(float, done.stdout.split())
    # seven files more of four kinds are 25 MB, and 38 members more 34 MB, or twice that as float64
    assert files - few < 18 * FIELD_MB, done.stdout
    assert members - files < 18 * FIELD_MB, done.stdout
