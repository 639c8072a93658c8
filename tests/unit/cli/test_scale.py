"""`hpctrain scale`: what it writes, and what it refuses."""

import json

import pytest

from hpctrain.cli import main
from tests.runs import make_small

SMALL = ("--set", "resources.ranks_per_node=1", "--set", "train.global_batch_size=2")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_small(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv):
    with pytest.raises(SystemExit) as info:
        main(list(argv))
    return info.value.code or 0


def test_scale__writes_runs_that_differ_in_nodes(folder, capsys):
    settings = ("--site", "generic-slurm", *SMALL)
    assert run("scale", "small.yaml", "--nodes", "4,1,2", "--rate", "sqrt", *settings) == 0
    out = capsys.readouterr().out.splitlines()
    assert "3 points as single jobs (the points of an array ask for the same" in out[0]
    assert "Krizhevsky 2014" in out[1]
    assert out[2:] == [
        "next: hpctrain submit jobs/small-scale",
        "then: hpctrain scale jobs/small-scale",
    ]
    study = json.loads((folder / "jobs" / "small-scale" / "scaling.json").read_text())
    assert [point["train.optimizer.learning_rate"] for point in study["points"]] == [
        1e-4,
        1.41421e-4,
        2e-4,
    ]
    for name, nodes in (("000", 1), ("001", 2), ("002", 4)):
        script = folder / "jobs" / "small-scale" / "points" / name / "run.slurm"
        assert f"#SBATCH --nodes={nodes}\n" in script.read_text()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["small.yaml"], "'small.yaml' is no study; give --nodes 1,2,4"),
        (["nowhere.yaml", "--nodes", "1"], "no such job file"),
        (["data"], "has no scaling.json"),
        (["small.yaml", "--nodes", "1,x"], "--nodes: found '1,x'; allowed: whole numbers"),
        (["small.yaml", "--nodes", ""], "--nodes: found ''"),
        (["small.yaml", "--nodes", "0,1"], "--nodes: found '0,1'"),
        (["small.yaml", "--nodes", "1,1"], "names a number twice"),
        (["small.yaml", "--nodes", "1", "--ranks", "1"], "exclude each other"),
        (["small.yaml", "--nodes", "1", "--mode", "x"], "choose from weak, strong"),
        (["small.yaml", "--nodes", "1", "--rate", "x"], "choose from linear, sqrt, none"),
        (["small.yaml", "--nodes", "1,2"], "found 2; allowed: 1 or fewer"),
        (["small.yaml", "--nodes", "1", "--run", "--site", "generic-slurm"], "leave it out"),
        (["small.yaml", "--mode", "strong"], "needs --nodes 1,2,4 or --ranks 1,2"),
        (["small.yaml", "--nodes", "1", "--json"], "there are none yet; add --run"),
        (["small.yaml", "--run"], "needs --nodes 1,2,4 or --ranks 1,2"),
        (["small.yaml", "--ranks", "1,3", "--mode", "strong"], "cannot be shared equally"),
    ],
)
def test_scale__bad_input_writes_nothing(folder, capsys, argv, words):
    assert run("scale", *argv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not (folder / "jobs").exists()


def test_scale__nothing_ran_yet(folder, capsys):
    assert run("scale", "small.yaml", "--ranks", "1,2") == 0
    assert run("scale", "small-scale") == 2
    captured = capsys.readouterr()
    assert "no run of the study has a speed yet" in captured.err
    assert "rendered" in captured.out


def test_scale__json_stays_json_while_runs_talk(folder, capfd, monkeypatch):
    """The study is made to fail at once: what it prints must not mix with the results."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = ("--set", "launch.python=/bin/false")
    assert run("scale", "small.yaml", "--ranks", "1", "--run", "--json", *settings) == 6
    out, err = capfd.readouterr()
    assert out == ""
    assert "weak scaling over ranks_per_node" in err


def test_scale__another_folder(folder, capsys):
    argv = ("small.yaml", "--nodes", "1,2", "--site", "generic-slurm", "--out", "elsewhere")
    assert run("scale", *argv, *SMALL) == 0
    assert (folder / "elsewhere" / "small-scale" / "scaling.json").is_file()
    assert not (folder / "jobs").exists()
    assert "hpctrain submit elsewhere/small-scale" in capsys.readouterr().out
