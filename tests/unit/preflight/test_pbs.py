"""What OpenPBS says of a queue, and what is made of it."""

import json

import pytest

from hpctrain.preflight.pbs import pbs_findings
from tests.jobs import BATCH, mantle

QUEUE = {
    "queue_type": "Execution",
    "enabled": "True",
    "started": "True",
    "resources_max": {"walltime": "01:00:00", "nodect": 4},
    "resources_min": {"nodect": 1},
}


def page(**changed: object) -> str:
    queue = {**QUEUE, **changed}
    return json.dumps({"timestamp": 1, "pbs_version": "23.06.06", "Queue": {"debug": queue}})


def found(*settings: str):
    resolved = mantle("generic-pbs", *BATCH, "resources.queue=debug", *settings)
    return [(f.severity, f.where, f.text) for f in pbs_findings(resolved.job)]


def test_queue__one_that_takes_the_job(programs):
    programs.add("qstat", out=page())
    assert found() == []
    assert programs.words("qstat") == ["-Q -f -F json debug"]


@pytest.mark.parametrize(
    ("changed", "settings", "severity", "words"),
    [
        ({"enabled": "False"}, (), "error", "queue debug takes no jobs now"),
        ({"started": "False"}, (), "warning", "queue debug starts no jobs now"),
        ({}, ("resources.walltime=01:00:01",), "error", "queue debug allows 01:00:00 at most"),
        ({"resources_max": {"walltime": 60}}, (), "error", "queue debug allows 00:01:00 at most"),
        ({"resources_max": {"nodect": "1"}}, (), "error", "found 2; queue debug allows 1 at most"),
        ({"resources_min": {"walltime": "02:00:00"}}, (), "error", "allows 02:00:00 at least"),
    ],
)
def test_queue__what_does_not_fit(programs, changed, settings, severity, words):
    programs.add("qstat", out=page(**changed))
    ((kind, _, text),) = found(*settings)
    assert kind == severity
    assert words in text


@pytest.mark.parametrize(
    ("answer", "severity", "words"),
    [
        ({"err": "qstat: Unknown queue debug", "code": 170}, "error", "Unknown queue debug"),
        ({"err": "Connection refused", "code": 111}, "warning", "PBS says: Connection refused"),
        ({"out": "Queue: debug\n"}, "warning", "answered what is no JSON of a queue: Queue: debug"),
        ({"out": "{}"}, "warning", "no JSON of a queue"),
        ({"out": '{"Queue": []}'}, "warning", "no JSON of a queue"),
    ],
)
def test_queue__answers_that_are_none(programs, answer, severity, words):
    programs.add("qstat", **answer)
    ((kind, _, text),) = found()
    assert kind == severity
    assert words in text


def test_queue__no_qstat_is_a_note(programs):
    ((severity, where, text),) = found()
    assert (severity, where) == ("note", "qstat -Qf debug")
    assert "no qstat here" in text


def test_queue__unknown_values_are_no_limits(programs):
    programs.add("qstat", out=page(resources_max={"walltime": "soon", "nodect": None}))
    assert found() == []
