"""The look at data files beside the training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.train.datafiles import DataFiles
from tests.runs import make_small


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    make_small(folder)
    command = [sys.executable, "-m", "hpctrain", "render", "small.yaml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "jobs" / "small"


def test_check__finds_nothing_where_nothing_changed(run_dir: Path) -> None:
    files = DataFiles(run_dir, is_main=True)
    files.check()
    files.finish()


def test_check__finds_a_file_that_has_gone(run_dir: Path) -> None:
    file = run_dir.parents[1] / "data" / "step001.nc"
    file.rename(file.with_suffix(".away"))
    files, other = DataFiles(run_dir, is_main=True), DataFiles(run_dir, is_main=False)
    files.check()
    files.check()  # is under way already
    other.check()
    with pytest.raises(DataError, match="step001.nc"):
        files.finish()
    other.finish()  # the ranks but one leave the files alone
    file.with_suffix(".away").rename(file)
