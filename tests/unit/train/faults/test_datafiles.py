"""The look at data files beside the training."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index import digests
from hpctrain.train.faults import datafiles
from hpctrain.train.faults.datafiles import DataFiles
from hpctrain.train.run import Run
from tests.runs import make_small


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    make_small(folder)
    command = [sys.executable, "-m", "hpctrain", "render", "small.yaml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "jobs" / "small"


def test_check__finds_nothing_where_nothing_changed(run_dir: Path) -> None:
    files = DataFiles(Run(run_dir).read_index, is_main=True)
    files.check()
    files.finish()


def test_check__finds_a_file_that_has_gone(run_dir: Path) -> None:
    file = run_dir.parents[1] / "data" / "step001.nc"
    file.rename(file.with_suffix(".away"))
    files, other = (
        DataFiles(Run(run_dir).read_index, is_main=True),
        DataFiles(Run(run_dir).read_index, is_main=False),
    )
    files.check()
    files.check()  # is under way already
    other.check()
    with pytest.raises(DataError, match="step001.nc"):
        files.finish()
    other.finish()  # the ranks but one leave the files alone
    file.with_suffix(".away").rename(file)


def test_check__takes_a_small_part_of_the_time(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[float] = []

    def compare(*_: object, **__: object) -> None:
        compared.append(time.monotonic())
        time.sleep(0.005)

    monkeypatch.setattr(datafiles, "verify_index", compare)
    files, end = DataFiles(Run(run_dir).read_index, is_main=True), time.monotonic() + 1.2
    while time.monotonic() < end:
        files.check()
        time.sleep(0.001)
        files.look()
    assert 2 <= len(compared) <= 3
    files.finish()
    assert time.monotonic() - compared[-1] < 0.1  # the end is looked at in any case


def test_check__a_file_with_another_time_is_read_once_though_nothing_can_be_cached(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/no-folder")
    read: list[str] = []
    sha256_of = digests.sha256_of

    def recording(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(digests, "sha256_of", recording)
    files = DataFiles(Run(run_dir).read_index, is_main=True)

    def check() -> list[str]:
        read.clear()
        files.check()
        files.finish()
        return sorted(read)

    folder = run_dir.parents[1] / "data"
    for file in folder.glob("*.nc"):
        os.utime(file, ns=(1, 1))
    assert check() == ["step000.nc", "step001.nc", "step002.nc"]
    assert check() == []
    os.utime(folder / "step001.nc", ns=(2, 2))
    assert check() == ["step001.nc"]
    assert check() == []
    content = bytearray((folder / "step002.nc").read_bytes())
    content[-1] ^= 1
    (folder / "step002.nc").write_bytes(content)
    with pytest.raises(DataError, match=r"step002.nc: content has changed"):
        check()
    with pytest.raises(DataError, match=r"step002.nc: content has changed"):
        check()
