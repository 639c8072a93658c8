"""A training that takes its files and splits from an index of its own."""

from __future__ import annotations

import os

import yaml

from tests.e2e.commands import hpctrain, one_message, state, train
from tests.runs import JOB, SmallRun

ALONE = ("resources.ranks_per_node=1", "launch.comm=single")
WORDS = ("--modality", "target=step*.nc", "--pair", "number", "--inspect", "full")


def test_training__reads_an_index_and_checks_its_digests(small: SmallRun) -> None:
    folder = small.folder
    done = hpctrain("index", "build", "data", *WORDS, cwd=folder)
    assert done.stdout == "data/index.csv: written; 3 samples: 3 ok\n", done.stderr
    done = hpctrain("index", "split", "data", "--by", "id", "--validation", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    data = {"kind": "fields", "index": "data", "variables": JOB["data"]["variables"]}
    job = {**JOB, "data": {**data, "crop": JOB["data"]["crop"]}}
    (folder / "small.yaml").write_text(yaml.safe_dump(job))
    run = small.render("run", *ALONE, "data.verify=digests")
    done = train(run)
    assert done.returncode == 0, done.stderr
    assert state(run)["status"] == "finished"
    path = folder / "data" / "step001.nc"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))  # only its digest tells
    assert hpctrain("index", "verify", "data", "--changed-only", cwd=folder).returncode == 0
    assert hpctrain("index", "verify", "data", cwd=folder).returncode == 2
    done = train(small.render("again", *ALONE, "data.verify=digests"))
    assert done.returncode == 2
    assert "step001.nc: content has changed" in one_message(done.stderr)
