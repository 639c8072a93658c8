"""`hpctrain cost`."""

import json

import pytest

from hpctrain.cli import main

SITE = (
    "name: mine\ntitle: x\nscheduler: pbs\nlauncher: {kind: pals}\n"
    "whole_nodes: true\ncpus_per_node: 64\n"
    "charge: {unit: GPU-hours, per_node_hour: 4}\nrules: {preempt: {charge_factor: 0.2}}\n"
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SITE)
    run("init", "mantle")


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_cost__says_the_formula(capsys):
    settings = ("--set", "resources.queue=preempt", "--set", "chain.max_jobs=3")
    capsys.readouterr()
    assert run("cost", "mantle", "--site", "mine.yaml", *settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mantle on site mine: one job: 1 node x 1 h = 1 node-hours at most",
        "  charge: 1 node x 1 h x 4 (GPU-hours a node-hour) x 0.2 (queue preempt) = 0.8 GPU-hours",
        "  in all, at most: 0.8 x 3 jobs of the chain = 2.4 GPU-hours",
    ]


def test_cost__for_programs(capsys):
    capsys.readouterr()
    assert run("cost", "mantle", "--site", "mine.yaml", "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["job"], page["site"], page["unit"]) == ("mantle", "mine", "GPU-hours")
    assert page["total_charge"] == page["charge"] == 4.0


def test_cost__no_such_job(capsys):
    assert run("cost", "nosuch") == 2
    assert "no such job file" in capsys.readouterr().err


def test_cost__points_of_different_size(capsys):
    grid = "sweep.grid={resources.nodes: [1, 2, 4], resources.queue: [null, preempt]}"
    settings = ("--site", "mine.yaml", "--set", grid)
    settings += ("--set", "train.global_batch_size=4", "--set", "resources.ranks_per_node=1")
    capsys.readouterr()
    assert run("cost", "mantle", *settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mantle on site mine: 6 points of different size: 14 node-hours at most",
        "  charge: 33.6 GPU-hours, each point by its own size",
    ]
    assert run("cost", "mantle", *settings, "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["runs"], page["total_node_hours"], page["total_charge"]) == (6, 14, 33.6)


def test_cost__short_times_are_readable(capsys):
    capsys.readouterr()
    assert run("cost", "mantle", "--site", "mine.yaml", "--set", "resources.walltime=00:10:00") == 0
    assert "1 node x 0.167 h = 0.167 node-hours" in capsys.readouterr().out


def test_cost__too_many_points(capsys):
    capsys.readouterr()
    spec = "sweep.random={parameters: {train.seed: {low: 0, high: 9}}, num_points: 100000000}"
    assert run("cost", "mantle", "--set", spec) == 2
    assert "makes 100000000 points; allowed: 100000 or fewer" in capsys.readouterr().err
