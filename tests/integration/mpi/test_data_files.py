"""Data files that change or are cut short while a run trains on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.mpi.faults import KEPT, LONG, check_failed, ended, start_training
from tests.requires import requires
from tests.runs import SmallRun, make_small


@pytest.fixture
def own(tmp_path: Path) -> SmallRun:
    """A folder with data of its own: other tests must not see what is done to it."""
    return make_small(tmp_path)


@requires(mpi=True)
def test_data_files__that_change_or_vanish_are_named(own: SmallRun) -> None:
    run = own.render("changed", *LONG, *KEPT, "launch.comm=ddp")
    file = next((own.folder / "data").glob("step000*"))
    content = file.read_bytes()
    process = start_training(own, run, is_warm=True)
    with file.open("r+b") as in_place:
        in_place.seek(-4, os.SEEK_END)
        in_place.write(b"\x3f\0\0\0")
    check_failed(run, ended(run, process, (2,)), r"step000\S*: content has changed since")
    file.write_bytes(content)
    process = start_training(own, run, is_warm=True)
    file.unlink()  # what is mapped stays readable, so that only a look finds it
    check_failed(run, ended(run, process, (2,)), r"step000\S*: .*cannot be read")
    file.write_bytes(content)
    own.finish(run)


@requires(mpi=True)
def test_data_file__cut_short_is_explained(own: SmallRun) -> None:
    """The kernel ends the rank that reads what is not there any more."""
    run = own.render("cut", *LONG, *KEPT, "launch.comm=ddp")
    process = start_training(own, run)
    for file in (own.folder / "data").iterdir():
        os.truncate(file, 100)
    ended(run, process)
    why = [sys.executable, "-m", "hpctrain", "why", "jobs/cut"]
    said = subprocess.run(why, cwd=own.folder, capture_output=True, text=True, check=True).stdout
    assert "a data file was cut short" in said
