"""`hpctrain verify` and `hpctrain render --diff`."""

import json

import pytest
import yaml

from hpctrain.cli import main
from tests.unit.cli.test_render import JOB, write_npy


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"step{i}.npy", i, (2, 16, 16, 16))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert run("render", "small") == 0
    return tmp_path / "jobs" / "small"


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


@pytest.mark.parametrize("name", ["small", "jobs/small", "jobs/small/"])
def test_verify__unchanged(run_dir, capsys, name):
    assert run("verify", name, "--digests") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("jobs/small: unchanged since it was rendered; ")
    assert line.endswith(" files and 3 rows of the index compared")


def test_verify__edited_and_the_data_changed(run_dir, capsys):
    (run_dir / "run.sh").write_text("mine")
    write_npy(run_dir.parents[1] / "data" / "step1.npy", 7, (2, 16, 16, 16))
    before = {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")}
    capsys.readouterr()
    assert run("verify", "small") == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "edited: jobs/small/run.sh"
    assert out[1].startswith("index: ")
    assert "step1.npy: content has changed since the job was rendered" in out[1]
    assert out[2] == "jobs/small: differs from what was rendered"
    assert {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")} == before


def test_verify__for_programs(run_dir, capsys):
    (run_dir / "notes.txt").touch()
    capsys.readouterr()
    assert run("verify", "small", "--json") == 0
    (page,) = json.loads(capsys.readouterr().out)
    assert page["added"] == ["notes.txt"]
    assert page["is_unchanged"] is True


@pytest.mark.parametrize("name", ["", "nosuch", "data", "small.yaml"])
def test_verify__no_such_run(run_dir, capsys, name):
    assert run("verify", name) == 2
    err = capsys.readouterr().err
    assert "no such run directory" in err
    assert len(err.splitlines()) == 1


def test_verify__a_manifest_that_is_torn(run_dir, capsys):
    (run_dir / "manifest.json").write_text("{")
    assert run("verify", "small") == 2
    assert "has no manifest.json that can be read" in capsys.readouterr().err


def test_diff__writes_nothing_and_ends_as_diff_does(run_dir, capsys):
    capsys.readouterr()
    assert run("render", "small", "--diff") == 0
    assert capsys.readouterr().out == ""
    before = {p: p.stat().st_mtime_ns for p in run_dir.parent.rglob("*")}
    assert run("render", "small", "--diff", "--set", "train.epochs=5") == 1
    out = capsys.readouterr().out
    assert "--- a/config.yaml\n+++ b/config.yaml\n" in out
    assert "+  epochs: 5\n" in out
    assert {p: p.stat().st_mtime_ns for p in run_dir.parent.rglob("*")} == before


def test_diff__of_a_run_that_has_started(run_dir, capsys):
    (run_dir / "state.json").write_text('{"status": "running"}')
    assert run("render", "small", "--diff", "--set", "train.epochs=5") == 1


def test_diff__nothing_to_compare_with(run_dir, capsys):
    assert run("render", "small", "--diff", "--as", "other") == 2
    assert "jobs/other: no run directory to compare with" in capsys.readouterr().err
    settings = ("--set", "sweep.grid={train.seed: [1, 2]}")
    assert run("render", "small", "--diff", *settings) == 2
    assert "is a sweep" in capsys.readouterr().err
