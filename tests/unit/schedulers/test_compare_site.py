"""Sites against time and against their machines."""

from datetime import date

import pytest

from hpctrain.config.load import read_site
from hpctrain.config.site import Site
from hpctrain.schedulers.compare_site import closed_notes, date_notes, differences
from hpctrain.schedulers.machine import LiveQueue, Machine

TODAY = date(2026, 11, 21)


def site(**values) -> Site:
    base = {"name": "x", "title": "x", "scheduler": "slurm", "launcher": {"kind": "srun"}}
    return Site.model_validate({**base, **values})


def dated(*dates: str) -> Site:
    return site(sources=[{"fact": "f", "source": "s", "date": day} for day in dates])


@pytest.mark.parametrize("day", ["2026-11-21", "2025-05", "2025-05-01"])
def test_date_notes__new_facts_need_none(day):
    assert date_notes(dated(day), TODAY) == []


def test_date_notes__old_and_undated_facts():
    assert date_notes(dated("2026-01", "2025-04", "last year", "2025-13"), TODAY) == [
        "sources.1: 'f' is of 2025-04, 19 months ago; see s",
        "sources.2: found the date 'last year'; allowed: YYYY-MM or YYYY-MM-DD",
        "sources.3: found the date '2025-13'; allowed: YYYY-MM or YYYY-MM-DD",
    ]
    assert date_notes(site(), TODAY)[0].startswith("sources: is empty")


MINE = site(
    cpus_per_node=64,
    gpus_per_node=4,
    queues={
        "a": [{"nodes": [1, 2], "walltime": "01:00:00"}, {"nodes": [3, 8], "walltime": "02:00:00"}],
        "b": [],
    },
    rules={"b": {"gpus_per_node": 0}},
)


def compare(*queues: LiveQueue, of: Site = MINE) -> list[str]:
    return differences(of, Machine(queues, "sinfo"))


def test_differences__none():
    a = LiveQueue("a", 7200, (1, 8), 20, 64, 4)
    assert compare(a, LiveQueue("b", None, (1, None), 9, 64, 0)) == []
    assert compare(a, LiveQueue("b"), LiveQueue("shut", is_open=False)) == []


def test_differences__of_every_kind():
    assert compare(LiveQueue("a", 3600, (1, 6), 20, 128, 8), LiveQueue("c", 60)) == [
        "queues.b: the machine has none; it has a, c",
        "queues.a: walltime: the file says 02:00:00, the machine 01:00:00",
        "queues.a: nodes: the file says 8, the machine 6",
        "queues.a: cpus_per_node: the file says 64, the machine 128",
        "queues.a: gpus_per_node: the file says 4, the machine 8",
        "queues: c is missing, which the machine has",
    ]


def test_differences__more_nodes_than_there_are():
    b = LiveQueue("b")
    assert compare(LiveQueue("a", 7200, (1, None), 9), b) == []
    assert compare(LiveQueue("a", 7200, (1, None), 4), b) == [
        "queues.a: nodes: the file says 8, the machine 4"
    ]


def test_differences__other_queues_that_the_file_leaves_open():
    assert compare(LiveQueue("x"), of=site(queues={"*": []})) == []
    assert compare(LiveQueue("x"), of=site()) == []


def test_closed_notes():
    machine = Machine((LiveQueue("a", is_open=False), LiveQueue("z", is_open=False)), "sinfo")
    assert closed_notes(MINE, machine) == ["queues.a: the machine takes no jobs for it now"]


@pytest.mark.parametrize("name", ["polaris", "frontier", "derecho", "vista", "delta"])
def test_date_notes__shipped_sites_that_are_in_use_have_dates(name):
    assert not [n for n in date_notes(read_site(name)[0], TODAY) if "allowed" in n]
