"""Queues and nodes out of what sinfo, scontrol, qstat and pbsnodes print."""

import json

import pytest

from hpctrain.errors import SchedulerError
from hpctrain.schedulers.machine import LiveQueue, ask_machine, parse_pbs, parse_slurm

SINFO = """\
regular*|2-00:00:00|1-infinite|2|4|gpu:4|up
debug|30:00|1-2|2|4|gpu:4|up
mixed|infinite|2-infinite|10|64|gpu:a100:4(S:0-1)|up
mixed|infinite|2-infinite|6|128|gpu:a100:8,nvme:1|up
cpu|12:00:00|4|3|128+|(null)|down
"""
CONFIG = "ClusterName             = bench\nMaxArraySize            = 1001\nEmpty =\n"

QSTAT = {
    "pbs_server": "pbs01",
    "Queue": {
        "prod": {"queue_type": "Route", "enabled": "True", "started": "True"},
        "debug": {
            "enabled": "True",
            "started": "True",
            "resources_max": {"nodect": 2, "walltime": "01:00:00"},
            "resources_min": {"nodect": "1"},
            "max_queued": "[o:PBS_ALL=30],[u:PBS_GENERIC=3]",
            "max_run": "[u:PBS_GENERIC=1]",
        },
        "demand": {"enabled": "False", "started": "True", "resources_max": {"walltime": 3600}},
    },
}
PBSNODES = {
    "nodes": {
        name: {"resources_available": {"ncpus": 64, "ngpus": gpus}}
        for name, gpus in (("n1", 4), ("n2", 8))
    }
}


def test_parse_slurm__a_line_for_each_kind_of_nodes():
    machine = parse_slurm(SINFO, CONFIG)
    assert (machine.name, machine.max_array) == ("bench", 1000)
    assert machine.queues == (
        LiveQueue("regular", 172800, (1, None), 2, 4, 4, is_default=True),
        LiveQueue("debug", 1800, (1, 2), 2, 4, 4),
        LiveQueue("mixed", None, (2, None), 16, None, None),
        LiveQueue("cpu", 43200, (4, 4), 3, 128, 0, is_open=False),
    )


def test_parse_slurm__without_a_limit_of_arrays():
    assert parse_slurm(SINFO, "MaxArraySize = 0").max_array is None
    assert parse_slurm(SINFO, "").name == ""


def test_parse_pbs__limits_of_queues_and_shape_of_nodes():
    machine = parse_pbs(json.dumps(QSTAT), json.dumps(PBSNODES))
    assert machine.name == "pbs01"
    assert machine.queues == (
        LiveQueue("prod", None, (1, None), 2, 64, None),
        LiveQueue("debug", 3600, (1, 2), 2, 64, None, max_queued=3, max_running=1),
        LiveQueue("demand", 3600, (1, None), 2, 64, None, is_open=False),
    )


def tool(folder, name: str, text: str, code: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_ask_machine__starts_the_commands(tools):
    tool(tools, "sinfo", SINFO)
    tool(tools, "scontrol", CONFIG)
    assert len(ask_machine("slurm").queues) == 4
    tool(tools, "qstat", json.dumps(QSTAT))
    tool(tools, "pbsnodes", json.dumps(PBSNODES))
    assert len(ask_machine("pbs").queues) == 3


@pytest.mark.parametrize("text", ["hello", "a|b|c|d|e|f|g", "a*|1-00:00:00|1|x|4|gpu:4|up"])
def test_ask_machine__nonsense_is_shown(tools, text):
    tool(tools, "sinfo", text)
    tool(tools, "scontrol", CONFIG)
    with pytest.raises(SchedulerError, match="no list of queues") as info:
        ask_machine("slurm")
    assert text in str(info.value)


@pytest.mark.parametrize("text", ["hello", "{}", '{"Queue": []}', '{"Queue": {"a": 3}}'])
def test_ask_machine__json_of_another_form(tools, text):
    tool(tools, "qstat", text)
    tool(tools, "pbsnodes", json.dumps(PBSNODES))
    with pytest.raises(SchedulerError, match="no list of queues"):
        ask_machine("pbs")


def test_ask_machine__a_refusal_in_its_own_words(tools):
    tool(tools, "sinfo", "slurm_load_partitions: Unable to contact slurm controller", code=1)
    with pytest.raises(SchedulerError, match="sinfo: refused to answer:\n.*\n.*Unable to contact"):
        ask_machine("slurm")


def test_ask_machine__cobalt_tells_nothing():
    with pytest.raises(SchedulerError, match="cobalt: has no command"):
        ask_machine("cobalt")
