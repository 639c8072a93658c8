"""`hpctrain predict` of a trained run: one rank and two alike, what fails, what is left of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from tests.integration.mpi.conftest import SmallRun
from tests.requires import requires
from tests.runs import VARIABLES, write_step

SETTINGS = ("resources.ranks_per_node=1", "launch.comm=single")
HPCTRAIN = (sys.executable, "-m", "hpctrain")


def predict(
    small: SmallRun, run: Path, *options: str, ranks: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, in the folder of the runs."""
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, *HPCTRAIN, "predict", run.name, *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=small.folder, capture_output=True, text=True, env=env, timeout=120
    )


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@requires(mpi=True)
def test_predict__two_ranks_write_what_one_writes(small: SmallRun, tmp_path: Path) -> None:
    run = small.finished(*SETTINGS)
    before = files_in(run)
    # overlapping tiles in longitude: the two ranks' halves share some
    options = ("--input", "data/step00[12].nc", "--coarsen", "--tile", "2,4,4", "--out")
    one = predict(small, run, *options, str(tmp_path / "one"))
    assert one.returncode == 0, one.stderr
    two = predict(small, run, *options, str(tmp_path / "two"), ranks=2)
    assert two.returncode == 0, two.stderr
    assert files_in(run) == before
    found = files_in(tmp_path / "one")
    assert sorted(found) == ["step001.nc", "step002.nc"]
    assert files_in(tmp_path / "two") == found
    for text in (one.stdout, two.stdout):
        assert text.count("wrote ") == 2
        assert f"step001.nc: {', '.join(VARIABLES)} of 8 x 16 x 40 cells" in text
        assert "voxels/s" in text
    assert "[rank 0/2" in two.stderr
    assert "[rank 1/2" not in two.stderr
    traced = subprocess.run(
        [*HPCTRAIN, "trace", str(tmp_path / "two" / "step001.nc")], capture_output=True, text=True
    )
    assert traced.returncode == 0, traced.stderr
    assert "prediction    same" in traced.stdout
    assert "checkpoint    same     state_1.pt" in traced.stdout


@requires(mpi=True)
def test_predict__rank_that_fails_ends_all_and_leaves_nothing(
    small: SmallRun, tmp_path: Path
) -> None:
    run = small.finished(*SETTINGS)
    write_step(tmp_path / "bad.nc", seed=7)
    with netcdf_file(str(tmp_path / "bad.nc"), "a") as file:
        file.variables["vz"][15, 7, 39] = np.nan  # in the last rank's part
    out = tmp_path / "out"
    given = ("--input", str(tmp_path / "bad.nc"), "--out", f"{out}/a.nc", "--tile", "4,4,4")
    done = predict(small, run, *given, ranks=2)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("'vz' is nan at index [r 7, lat 15, lon 39]") == 1
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []


@requires(mpi=True)
def test_predict__killed_leaves_no_file_of_that_name(small: SmallRun, tmp_path: Path) -> None:
    run = small.finished(*SETTINGS)
    code = (
        "import os, signal, sys\n"
        "from hpctrain.predict.outputs import Output\n"
        "real = Output.write\n"
        "def write(self, block, values):\n"
        "    real(self, block, values)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Output.write = write\n"
        "from hpctrain.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    out = tmp_path / "a.npy"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(run), "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert [p.name[0] for p in tmp_path.iterdir()] == ["."]
    again = predict(small, run, "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert np.isfinite(np.load(out)).all()
    assert "left by a prediction that was killed, taken away" in again.stderr
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@requires(mpi=True)
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--tile", "a"), "--tile: found 'a'; allowed: numbers, such as 1,2"),
        (("--tile", "2,2"), "--tile: found '2,2'; allowed: 1 or 3 whole numbers"),
        (("--precision", "floot32"), "--precision: found 'floot32'; choose from float32, bf"),
    ],
)
def test_predict__wrong_options_are_told_in_a_sentence(
    small: SmallRun, tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    run = small.finished(*SETTINGS)
    done = predict(small, run, "--out", str(tmp_path / "a.nc"), *options)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


@requires(mpi=True)
def test_predict__without_rank_sh_ranks_do_not_guess(small: SmallRun, tmp_path: Path) -> None:
    run = small.finished(*SETTINGS)
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    (copy / "rank.sh").unlink()
    command = ["mpirun", "--oversubscribe", "-n", "2", *HPCTRAIN, "predict", str(copy)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "a.nc")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "has no rank.sh, which tells several ranks apart" in done.stderr
    assert not (tmp_path / "a.nc").exists()
