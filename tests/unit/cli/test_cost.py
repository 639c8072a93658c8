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
