"""What goes wrong between rendering and the end of a training, through real processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from hpctrain.data import GlobalSampler
from tests import warm
from tests.e2e.commands import environment, one_message, put_nan, run_script, state, train
from tests.requires import requires
from tests.runs import SmallRun

ALONE = "resources.ranks_per_node=1"


def edit_config(run: Path) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("epochs: 1\n", "epochs: x\n", 1))


def edit_index(run: Path) -> None:
    path = run / "index.csv"
    path.write_text(path.read_text().replace("validation", "train"))


def cut_data(run: Path) -> None:
    path = run.parents[1] / "data" / "step001.nc"
    path.write_bytes(path.read_bytes()[:30000])


def change_data(run: Path) -> None:
    path = run.parents[1] / "data" / "step001.nc"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def remove_data(run: Path) -> None:
    (run.parents[1] / "data" / "step001.nc").unlink()


def put_nan_into_validation(run: Path) -> None:
    path = run.parents[1] / "data" / "step002.nc"
    before = path.stat()
    put_nan(path, 3, 4, 5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the index must not notice


BETWEEN = {
    "config edited": (edit_config, r"config\.yaml:\d+: train\.epochs: found the text 'x'; allowed"),
    "index edited": (
        edit_index,
        r"index\.csv: altered since it was written .*render the job",
    ),
    "data truncated": (
        cut_data,
        r"step001\.nc: 30000 bytes, \d+ when the job was rendered; restore the file or render",
    ),
    "data changed in one bit": (
        change_data,
        r"step001\.nc: content has changed since the job was rendered; restore the file or render",
    ),
    "data removed": (remove_data, r"step001\.nc: cannot be read \(No such file .*restore the file"),
    "nan in the last field": (
        put_nan_into_validation,
        r"step002\.nc: 'vx' is nan at index \[r 4, lat 3, lon 5\] \(r 5100, lat 48, lon 45\); ",
    ),
}


@pytest.mark.parametrize("case", BETWEEN)
def test_changed_since_render__is_found_and_named(small: SmallRun, case: str) -> None:
    change, pattern = BETWEEN[case]
    run = small.render("run", ALONE, "launch.comm=single")
    change(run)
    done = train(run)
    assert done.returncode == 2, done.stderr
    message = one_message(done.stderr)
    assert re.search(pattern, message), message
    assert state(run)["status"] == "failed"
    assert state(run)["message"].endswith(message)
    assert state(run)["exit_code"] == 2
    # the epoch before the validation is not lost with it
    kept = ["latest", "state_1.pt"] if case == "nan in the last field" else []
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == kept


NAMES = {
    "criterion of no module": (
        ["train.criterion=my.Loss"],
        "criterion: 'my.Loss': no module 'my'; list its folder under code:",
    ),
    "criterion of no class": (
        ["train.criterion=mine.Losss", "code=[mine]"],
        "criterion: 'mine.Losss': module 'mine' (",
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_name_of_a_class__that_is_not_there(small: SmallRun, case: str) -> None:
    settings, begin = NAMES[case]
    (small.folder / "mine").mkdir(exist_ok=True)
    (small.folder / "mine" / "mine.py").write_text("class Loss:\n    pass\n")
    run = small.render("run", ALONE, "launch.comm=single", *settings)
    env = environment(**warm.variables(f"{run}/code:{run}/code/user"))
    command = [sys.executable, "-m", "hpctrain.train", str(run)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert one_message(done.stderr).startswith(begin)
    assert state(run)["status"] == "failed"


def test_run_directory__that_is_none(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    done = train(tmp_path, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert one_message(done.stderr).startswith(f"{tmp_path}: no config.yaml in it; give a run dir")
    assert not (tmp_path / "state.json").exists()


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("case", ["config edited", "data truncated", "nan in the last field"])
def test_two_ranks__tell_once(small: SmallRun, case: str) -> None:
    change, pattern = BETWEEN[case]
    run = small.render("run")
    change(run)
    done = run_script(run, is_warm=True)
    assert done.returncode == 2, done.stderr
    assert re.search(pattern, one_message(done.stderr))
    assert done.stderr.splitlines()[-1] == "run: failed with exit code 2"
    assert state(run)["status"] == "failed"
    assert re.search(pattern, state(run)["message"])


def seed_that_gives_file_1_to_rank_1() -> int:
    """In the first batch of four samples; samples 0 to 9 are of file 0, 10 to 19 of file 1."""
    for seed in range(1000):
        first = GlobalSampler(20, 4, seed).batch(0, 0)
        if max(first[:2]) < 10 <= max(first[2:]):
            return seed
    raise AssertionError


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("comm", ["horovod", "ddp"])
def test_nan__that_rank_1_alone_meets_ends_the_job_with_its_name(
    small: SmallRun, comm: str
) -> None:
    seed = seed_that_gives_file_1_to_rank_1()
    run = small.render(
        "run", f"launch.comm={comm}", "data.normalization=none", f"train.seed={seed}"
    )
    path = small.folder / "data" / "step001.nc"
    before = path.stat()
    put_nan(path, slice(None), slice(None), slice(None))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = run_script(run, is_warm=True)
    assert done.returncode == 2, done.stderr
    assert "step001.nc: 'vx' is nan at index [" in one_message(done.stderr)
    assert re.search(r"\[rank 1/2 [^]]*\] \S*step001\.nc", done.stderr)
    assert state(run)["message"].startswith("[rank 1/2 ")


@requires(mpi=True, horovod=True)
def test_horovod_missing__says_how_to_get_it(small: SmallRun, tmp_path: Path) -> None:
    python = python_without("horovod", tmp_path / "venv")
    run = small.render("run", f"launch.python={python}")
    done = run_script(run)
    assert done.returncode == 5, done.stderr
    message = one_message(done.stderr)
    assert message.startswith("launch.comm is horovod but it cannot be imported")
    assert "`make horovod`" in message
    assert "launch.comm: ddp" in message


def python_without(package: str, venv: Path) -> Path:
    """An interpreter of its own that finds all of this environment's packages but one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = venv / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith((package, "__editable__")):
            (packages / entry.name).symlink_to(entry)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{packages}\n")
    return venv / "bin" / "python"
