"""Files that decide a training and are not in its index, from `check` to `reproduce`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.started import amend, make_started, run

STYLES = b"file,z\nstep0.npy,1.5\n"
WEIGHTS = b"weights of another program"
KEYS = ("data.styles", "train.initial_weights.path")
Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a table below its data's root and weights elsewhere."""
    there = tmp_path / "there $HOME 'ü'"
    weights = tmp_path / "elsewhere" / "state_1.pt"
    weights.parent.mkdir()
    weights.write_bytes(WEIGHTS)
    run_dir = make_started(there, monkeypatch)
    (there / "data" / "styles.csv").write_bytes(STYLES)
    job: dict[str, Any] = yaml.safe_load((there / "small.yaml").read_text())
    job["data"]["styles"] = "styles.csv"
    job["train"]["initial_weights"] = {"path": str(weights)}
    (there / "small.yaml").write_text(yaml.safe_dump(job))
    shutil.rmtree(run_dir)
    assert run("render", "small") == 0
    return run_dir


def links(capsys: pytest.CaptureFixture[str], run_dir: Path) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    run("trace", run_dir, "--json")
    return {link["kind"]: link for link in json.loads(capsys.readouterr().out)["links"]}


def compared(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    run("reproduce", *argv, "--json")
    page = json.loads(capsys.readouterr().out)
    return {entry["what"]: entry for entry in page["compared"]}


def test_render__the_manifest_has_their_digests(run_dir: Path) -> None:
    page = json.loads((run_dir / "manifest.json").read_text())["inputs"]["files_beside_index"]
    assert {key: page[key]["sha256"] for key in KEYS} == {
        KEYS[0]: hashlib.sha256(STYLES).hexdigest(),
        KEYS[1]: hashlib.sha256(WEIGHTS).hexdigest(),
    }
    assert [page[key]["size"] for key in KEYS] == [len(STYLES), len(WEIGHTS)]


def test_render__another_content_is_another_run(run_dir: Path, capsys: Capsys) -> None:
    assert run("render", "small") == 0
    assert "nothing changed" in capsys.readouterr().out
    (run_dir.parents[1] / "data" / "styles.csv").write_bytes(STYLES + b"x")
    capsys.readouterr()
    assert run("render", "small", "--diff") == 1
    assert f'+   "size": {len(STYLES) + 1},' in capsys.readouterr().out
    (run_dir / "logs" / "train.log").touch()
    assert run("render", "small") == 3
    assert "the job has changed since it was rendered (files_beside_index)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("is_folder", [False, True])
def test_render_and_check__one_that_cannot_be_read(
    run_dir: Path, capsys: Capsys, is_folder: bool
) -> None:
    path = run_dir.parents[1] / "data" / "styles.csv"
    path.unlink()
    if is_folder:
        path.mkdir()
    why = "Is a directory" if is_folder else "No such file or directory"
    assert run("render", "small", "--as", "b") == 2
    err = capsys.readouterr().err
    assert f"data.styles: {path}: cannot be read ({why}); put the file there, or name" in err
    assert not Path("jobs/b").exists()
    assert run("check", "small", "--offline") == 2
    assert f"data.styles: {path}: cannot be read ({why})" in capsys.readouterr().out


def test_render__a_sweep_takes_the_digests_of_each_point(run_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "state_2.pt"
    other.write_bytes(b"others")
    job = yaml.safe_load(Path("small.yaml").read_text())
    first = job["train"]["initial_weights"]["path"]
    job["sweep"] = {"grid": {KEYS[1]: [first, str(other)]}}
    Path("small.yaml").write_text(yaml.safe_dump(job))
    assert run("render", "small", "--as", "many") == 0
    found = [
        json.loads(path.read_text())["inputs"]["files_beside_index"][KEYS[1]]["sha256"]
        for path in sorted(Path("jobs/many/points").glob("*/manifest.json"))
    ]
    assert found == [hashlib.sha256(c).hexdigest() for c in (WEIGHTS, b"others")]


def test_trace__compares_them(run_dir: Path, tmp_path: Path, capsys: Capsys) -> None:
    found = links(capsys, run_dir)
    assert [found[key]["verdict"] for key in KEYS] == ["same", "same"]
    assert found[KEYS[0]]["digest"] == hashlib.sha256(STYLES).hexdigest()
    (run_dir.parents[1] / "data" / "styles.csv").write_bytes(STYLES.replace(b"1.5", b"1.6"))
    (tmp_path / "elsewhere" / "state_1.pt").unlink()
    found = links(capsys, run_dir)
    assert [found[key]["verdict"] for key in KEYS] == ["changed", "missing"]
    assert run("trace", run_dir) == 2
    assert f"not as it was: {', '.join(KEYS)}" in capsys.readouterr().out


def test_trace__one_that_was_only_touched_is_the_same(run_dir: Path, capsys: Capsys) -> None:
    os.utime(run_dir.parents[1] / "data" / "styles.csv", (1, 1))
    assert links(capsys, run_dir)[KEYS[0]]["verdict"] == "same"


def test_trace__a_manifest_without_them(run_dir: Path, capsys: Capsys) -> None:
    page = json.loads((run_dir / "manifest.json").read_text())
    for entry in ({}, {"data.styles": {"path": "x", "size": "much"}}, 3):
        amend(run_dir, inputs={**page["inputs"], "files_beside_index": entry})
        assert [links(capsys, run_dir)[key]["verdict"] for key in KEYS] == ["unknown"] * 2


def test_export__names_them_or_takes_them_in(run_dir: Path, tmp_path: Path, capsys: Capsys) -> None:
    assert run("export", run_dir, "--ro-crate", "--out", "a.zip") == 0
    err = capsys.readouterr().err
    assert f"note: {KEYS[0]}: {run_dir.parents[1] / 'data/styles.csv'}: is not in the crate" in err
    assert run("export", run_dir, "--ro-crate", "--with-data", "--out", "b.zip") == 0
    assert "is not in the crate" not in capsys.readouterr().err
    want = {
        "data/styles.csv": STYLES,
        "beside/train.initial_weights.path/state_1.pt": WEIGHTS,
    }
    with zipfile.ZipFile("b.zip") as archive:
        assert {name: archive.read(name) for name in want} == want
    for crate, start in (("a.zip", "file://"), ("b.zip", "")):
        with zipfile.ZipFile(crate) as archive:
            graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        found = {e["sha256"]: e["@id"] for e in graph if "not in index.csv" in str(e)}
        assert set(found) == {hashlib.sha256(c).hexdigest() for c in want.values()}
        assert all(name.startswith(start) for name in found.values())


def test_export__refuses_one_that_has_changed(
    run_dir: Path, tmp_path: Path, capsys: Capsys
) -> None:
    path = tmp_path / "elsewhere" / "state_1.pt"
    path.write_bytes(WEIGHTS[::-1])
    assert run("export", run_dir, "--ro-crate", "--with-data") == 2
    assert f"{KEYS[1]}: {path}: changed: sha256 " in capsys.readouterr().err


def test_reproduce__with_those_of_the_crate(
    run_dir: Path, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate = tmp_path / "x.zip"
    assert run("export", run_dir, "--ro-crate", "--with-data", "--out", crate) == 0
    shutil.rmtree(run_dir.parents[1])
    shutil.rmtree(tmp_path / "elsewhere")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = compared(capsys, crate)
    names = (*KEYS, "crate", "configuration", "rendering", "inputs")
    assert {name: found[name]["is_same"] for name in names} == dict.fromkeys(names, True)
    job = yaml.safe_load(Path("jobs/small/config.yaml").read_text())
    weights = Path(job["train"]["initial_weights"]["path"])
    assert weights.is_relative_to(here)
    assert weights.read_bytes() == WEIGHTS
    assert Path(job["data"]["root"], "styles.csv").read_bytes() == STYLES
    assert links(capsys, Path("jobs/small"))[KEYS[1]]["verdict"] == "same"


def test_reproduce__with_those_of_this_machine(
    run_dir: Path, tmp_path: Path, capsys: Capsys
) -> None:
    assert run("export", run_dir, "--ro-crate", "--out", "x.zip") == 0
    found = compared(capsys, "x.zip", "--as", "b")
    assert [found[key]["is_same"] for key in KEYS] == [True, True]
    weights = tmp_path / "elsewhere" / "state_1.pt"
    mine = weights.rename(weights.with_name("mine.pt"))
    (run_dir.parents[1] / "data" / "styles.csv").write_bytes(b"another")
    assert run("reproduce", "x.zip", "--as", "c") == 2
    out = capsys.readouterr().out
    assert f"DIFFERS  {KEYS[0]} " in out
    assert f"name its place here with --set {KEYS[1]}=PATH" in out
    found = compared(capsys, "x.zip", "--as", "d", "--set", f"{KEYS[1]}={mine}")
    assert found[KEYS[1]]["is_same"]


def test_reproduce__a_device_is_not_read(run_dir: Path, tmp_path: Path, capsys: Capsys) -> None:
    assert run("export", run_dir, "--ro-crate", "--out", "x.zip") == 0
    found = compared(capsys, "x.zip", "--as", "b", "--set", f"{KEYS[1]}=/dev/zero")
    assert "is no file" in found[KEYS[1]]["now"]
