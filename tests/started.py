"""A rendered run that looks as if it had started, without the time that a training takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hpctrain.cli import main
from hpctrain.provenance import embed, stamp_run
from tests.unit.cli.test_render import JOB, write_npy

LAUNCH = {"launch_id": "one", "hosts": ["n1"], "world_size": 2, "comm": "ddp", "time": 1.0}


def make_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "step{}.npy", **settings: object
) -> Path:
    """Data, a job file and its run directory `jobs/small` in a folder, which becomes the cwd."""
    (folder / "data").mkdir(parents=True)
    for i in range(3):
        write_npy(folder / "data" / name.format(i), i, (2, 16, 16, 16))
    (folder / "small.yaml").write_text(yaml.safe_dump({**JOB, **settings}, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.chdir(folder)
    assert run("render", "small") == 0
    run_dir = folder / "jobs" / "small"
    amend(run_dir, launches=[LAUNCH])
    return run_dir


def amend(run_dir: Path, **facts: object) -> None:
    """Change the manifest."""
    page = json.loads((run_dir / "manifest.json").read_text())
    (run_dir / "manifest.json").write_text(json.dumps({**page, **facts}, indent=1))


def run(*argv: str | Path) -> int:
    """The command line in this process; its exit code."""
    with pytest.raises(SystemExit) as info:
        main([str(word) for word in argv])
    return int(info.value.code or 0)


def product(run_dir: Path, name: str = "summary.json") -> Path:
    """A stamped result."""
    path = run_dir / "eval" / name
    path.write_text('{"rmse": 1.5}\n')
    embed(path, stamp_run(run_dir, "evaluation", epoch=1, global_step=5))
    return path
