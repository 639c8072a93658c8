"""A scaling study on one and two real ranks, from the command line to the plot."""

import json
import subprocess
import sys

from tests.requires import requires


def scale(folder, *argv):
    command = [sys.executable, "-m", "hpctrain", "scale", *argv]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@requires(mpi=True, horovod=True)
def test_scale__measures_one_and_two_ranks(small):
    settings = ("resources.ranks_per_node=1", "train.global_batch_size=2")
    words = [word for setting in settings for word in ("--set", setting)]
    out = scale(small.folder, "small.yaml", "--ranks", "1,2", "--epochs", "2", "--run", *words)
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("name"))
    assert lines[head].split()[:4] == ["name", "nodes", "ranks", "global_batch_size"]
    assert lines[head + 2].split()[:6] == ["001", "1", "2", "4", "finished", "10"]
    target = small.folder / "jobs" / "small-scale"
    assert (target / "scaling.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (target / "scaling.svg").read_text()
    rows = json.loads(scale(small.folder, "small-scale", "--json"))
    assert rows[0]["efficiency"] == 1.0
    assert rows[1]["speed-up"] > 0
    assert 0 < rows[1]["communication"] < 1
