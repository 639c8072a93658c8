"""The job around: how many nodes it has, and whether that is known."""

from __future__ import annotations

import pytest

from hpctrain.config.load import read_site
from hpctrain.doctor.machine import machine_topic
from hpctrain.doctor.place import Allocation
from hpctrain.doctor.plan import make_plan


def said(allocation: Allocation, site: str = "generic-pbs") -> list[str]:
    own = read_site(site)[0]
    topic = machine_topic(own, allocation, make_plan(None, own, allocation, 0))
    job = topic.facts["job"]
    assert (job["scheduler"], job["slots"]) == (allocation.scheduler, allocation.slots)
    return [f"{x.severity} {x.text}; {x.remedy}" for x in topic.lines if x.name == "job"]


@pytest.mark.parametrize(
    ("allocation", "line"),
    [
        (Allocation("pbs", "9.pbs", 2, 4), "of 2 nodes with room for 4 ranks on each"),
        (Allocation("pbs", "9.pbs", 1, 1), "of 1 node with room for 1 rank on each"),
        (Allocation("pbs", "9.pbs", 3, None), "of 3 nodes"),
    ],
)
def test_machine__job_and_its_room(allocation: Allocation, line: str) -> None:
    assert said(allocation) == [f"ok inside pbs job 9.pbs {line}; "]


def test_machine__nodes_that_are_a_guess() -> None:
    (line,) = said(Allocation("pbs", "9.pbs", 1, None, "PBS_NODEFILE is not set"))
    assert line.startswith(
        "warning inside pbs job 9.pbs of 1 node, as is taken for granted: PBS_NODEFILE is not set;"
    )


def test_machine__site_of_another_scheduler() -> None:
    _, line = said(Allocation("cobalt", "5", 1, None), "generic-slurm")
    assert line == (
        "warning it is of cobalt, and site generic-slurm has slurm; name this machine's site with "
        "--site: a name, a file, or generic-cobalt"
    )
