"""Bad input through the real command line: one clear message, the exit code, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.commands import hpctrain, tree
from tests.runs import SmallRun

BOXES = (
    "data.root=boxes",
    "data.geometry=box",
    "data.variables=[]",
    "data.augment={}",
    "data.targets=['fine*.npy']",
)


@pytest.fixture(scope="module")
def folder(shared: SmallRun) -> Path:
    """Fields of three kinds beside the good ones: without twins, cut off, and no fields at all."""
    boxes = shared.folder / "boxes"
    boxes.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        np.save(boxes / f"fine{i}.npy", rng.standard_normal((2, 16, 16, 16)).astype("f4"))
        if i < 3:
            np.save(boxes / f"coarse{i}.npy", rng.standard_normal((2, 8, 8, 8)).astype("f4"))
    step = shared.folder / "data" / "step000.nc"
    for name, whole, content in (
        ("cut_npy/fine0.npy", boxes / "fine0.npy", (boxes / "fine0.npy").read_bytes()[:5000]),
        ("cut_nc/step000.nc", step, step.read_bytes()[:30000]),
        ("cut_head/step000.nc", step, step.read_bytes()[:50]),
        ("text/step000.nc", step, b"name: mantle\n"),
    ):
        path = shared.folder / name
        path.parent.mkdir()
        path.write_bytes(content)
        path.with_stem(f"{path.stem[:-1]}1").write_bytes(whole.read_bytes())
    return shared.folder


def refused(folder: Path, *words: str, code: int = 2) -> str:
    """Render in vain; returns the one message."""
    before = tree(folder)
    done = hpctrain("render", *words, cwd=folder)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert tree(folder) == before, "something was written"
    (line,) = done.stderr.splitlines()
    assert line.startswith("hpctrain: ")
    return line.removeprefix("hpctrain: ")


SETTINGS = {
    "unknown key": (
        ["train.epoch=3"],
        ["train.epoch: unknown key 'epoch'", "choose from", "Did you mean 'epochs'?"],
    ),
    "wrong type": (
        ["train.epochs=many"],
        ["train.epochs: found the text 'many'", "allowed: a whole number"],
    ),
    "folder that is missing": (
        ["data.root=nowhere"],
        ["data.root: ", "nowhere does not exist", "give the folder"],
    ),
    "glob that matches nothing": (
        ["data.targets=['nope*.nc']"],
        ["data.targets 'nope*.nc' matches no file", "holds step000.nc", "mend the pattern"],
    ),
    "unequal numbers of input and target": (
        [*BOXES, "data.inputs=['coarse*.npy']"],
        ["matches 4 files", "data.inputs 3;", "none for '3'", "add or remove files"],
    ),
    "truncated npy": (
        [*BOXES, "data.root=cut_npy"],
        ["cut_npy/fine0.npy: truncated: 5000 bytes found, 32896 by its header", "fetch"],
    ),
    "truncated nc": (
        ["data.root=cut_nc"],
        ["cut_nc/step000.nc: truncated: 30000 bytes found", "by its header", "fetch"],
    ),
    "nc that ends in its header": (
        ["data.root=cut_head"],
        ["cut_head/step000.nc: truncated: 50 bytes found", "fetch"],
    ),
    "file that is no array": (
        ["data.root=text"],
        ["text/step000.nc: is no array file", "give npy, netCDF-3 or netCDF-4/HDF5"],
    ),
    "variable that is not there": (
        ["data.variables=[temprature]"],
        ["no variable 'temprature'", "choose from temperature", "Did you mean 'temperature'?"],
    ),
    "shape that does not divide": (
        ["train.upscale_factor=16", "train.adversary=null"],
        ["does not divide by upscale_factor 16", "nearest that do: data.grid: [16, 16, 32]"],
    ),
    "crop that does not fit": (
        ["data.crop=[4,4,400]"],
        ["data.crop [4, 4, 400] is larger", "at most 20", "give a smaller crop"],
    ),
    "ranks that do not divide the batch": (
        ["train.global_batch_size=3"],
        ["3 samples cannot be shared equally by 2 ranks", "nearest that work: 2 or 4 samples"],
    ),
    "walltime as a number": (
        ["resources.walltime=90"],
        ["resources.walltime: found the number 90", 'quote it: walltime: "02:00:00"'],
    ),
    "walltime that YAML reads as minutes": (
        ["resources.walltime=1:30"],
        ["resources.walltime: found the number 90", "quote it"],
    ),
    "account that a shell would run": (
        ["resources.account=$(touch pwned)"],
        ["found '$(touch pwned)'", "a scheduler directive cannot hold", "allowed: letters"],
    ),
    "nothing to validate on": (
        ["data.validation_steps=0"],
        ["no file is left to validate on", "give validation_steps"],
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_setting__is_refused_with_one_message(folder: Path, case: str) -> None:
    settings, phrases = SETTINGS[case]
    words = [word for setting in settings for word in ("--set", setting)]
    message = refused(folder, "small.yaml", *words)
    assert not [phrase for phrase in phrases if phrase not in message], message


@pytest.mark.parametrize(
    "name",
    ["a b", "a'b", 'a"b', "$(touch pwned)", "`touch pwned`", "a\nb", "a;b", "../a", "-a", ""],
)
def test_name__that_a_shell_or_a_path_would_trip_over(folder: Path, name: str) -> None:
    message = refused(folder, "small.yaml", f"--as={name}")
    assert "name: found " in message
    assert "allowed: 1 to 64 letters, digits" in message


def test_job__that_is_missing_says_where_it_was_looked_for(folder: Path) -> None:
    message = refused(folder, "nothing")
    assert message == "nothing: no such job file; looked for nothing.yaml and jobs/nothing.yaml"


def test_job__all_faults_at_once_each_with_its_line(folder: Path) -> None:
    text = (folder / "small.yaml").read_text()
    text = text.replace("epochs: 1\n", "epochs: x\n", 1).replace("  crop:", "  crp:", 1)
    job = folder / "wrong.yaml"
    job.write_text(text)
    done = hpctrain("render", "wrong.yaml", cwd=folder)
    job.unlink()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3
    assert ": data.crop: is missing" in done.stderr
    assert ": data.crp: unknown key 'crp'" in done.stderr
    line = text.splitlines().index("  epochs: x") + 1
    assert f"wrong.yaml:{line}: train.epochs: found the text 'x'" in done.stderr


def test_folder__of_somebody_elses_is_not_touched(folder: Path) -> None:
    (folder / "jobs" / "thesis").mkdir(parents=True, exist_ok=True)
    (folder / "jobs" / "thesis" / "chapter1.tex").write_text("x")
    message = refused(folder, "small.yaml", "--as", "thesis", code=3)
    assert "jobs/thesis: exists and is no run directory" in message
    assert "--as thesis-2" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "nosuch"], "nosuch: no such run directory"),
        (["status", "nosuch"], "nosuch: no such run directory"),
        (
            ["init", "mantel"],
            "init: unknown example 'mantel'; choose from cosmogan, dino, field-to-field",
        ),
        (["sample", "mantle", "--size", "3,4"], "--size: found '3,4'; allowed: three whole"),
        (["site", "show", "frontera"], "site: unknown site 'frontera'; choose from"),
        (["show", "small.yaml", "--set", "train"], "--set train: allowed: --set key.path=value"),
    ],
)
def test_command__wrong_word(folder: Path, words: list[str], message: str) -> None:
    done = hpctrain(*words, cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"hpctrain: {message}")
    assert len(done.stderr.splitlines()) == 1
