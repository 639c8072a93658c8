"""Machine profiles: what a queue changes, and the shipped ones."""

from datetime import datetime
from fnmatch import fnmatchcase

import pytest

from hpctrain.config.load import read_site
from hpctrain.config.site import Site
from tests.golden.cases import SITES

WANTED = {
    *("local", "generic-pbs", "generic-slurm", "generic-cobalt", "polaris", "aurora", "sophia"),
    *("crux", "derecho", "casper", "perlmutter", "frontier", "delta", "vista", "lonestar6"),
    *("juwels", "thetagpu", "theta"),
}


def site_of(**values) -> Site:
    base = {"name": "x", "title": "x", "scheduler": "slurm", "launcher": {"kind": "srun"}}
    return Site.model_validate({**base, **values})


def shipped(name: str) -> Site:
    return read_site(name)[0]


def test_for_queue__takes_the_queues_own_nodes_and_directives():
    site = site_of(
        gpu_order=[1, 0],
        cpus_per_node=8,
        directives={"queue": "--partition=", "extra": ["--a"], "select": ["s=1"]},
        rules={
            "big": {"gpus_per_node": 4, "cpus_per_node": 16, "extra": ["--b"], "select": ["t=2"]},
            "quick": {"option": "--qos=", "gpu_order": [0, 1]},
        },
    )
    big, quick, other = (site.for_queue(name) for name in ("big", "quick", None))
    assert (big.num_gpus, big.gpu_order, big.cpus_per_node) == (4, [], 16)
    assert (big.directives.extra, big.directives.select) == (["--a", "--b"], ["s=1", "t=2"])
    assert (quick.directives.queue, quick.gpu_order) == ("--qos=", [0, 1])
    assert other == site


def test_rules_of__the_star_is_for_all_that_are_not_named():
    site = site_of(rules={"*": {"max_queued": 9}, "a": {"max_running": 1}})
    assert (site.rules_of("b").max_queued, site.rules_of(None).max_queued) == (9, 9)
    assert site.rules_of("a").max_queued is None


def test_shipped__are_all_there():
    assert set(SITES) == WANTED


@pytest.mark.parametrize("name", SITES)
def test_shipped__every_fact_has_a_source_and_a_month(name):
    site = shipped(name)
    assert site.name == name
    assert site.sources
    for source in site.sources:
        assert source.source.strip()
        assert datetime.strptime(source.date, "%Y-%m")


@pytest.mark.parametrize("name", SITES)
def test_shipped__queues_fit_together(name):
    site = shipped(name)
    assert set(site.rules) <= {*site.queues, "*"}
    ask = site.defaults.get("resources", {})
    assert ask.get("queue", "*") in {*site.queues, "*"}
    assert set(ask.get("filesystems", [])) <= set(site.filesystems or ask.get("filesystems", []))
    for limits in site.queues.values():
        assert all(limit.nodes[0] <= limit.nodes[1] for limit in limits)
        assert all(a.nodes[1] < b.nodes[0] for a, b in zip(limits, limits[1:], strict=False))
        assert all((limit.min_walltime or 0) < limit.walltime for limit in limits)


@pytest.mark.parametrize("name", SITES)
def test_shipped__every_queues_devices_are_its_own(name):
    for queue in shipped(name).queues:
        site = shipped(name).for_queue(queue)
        assert sorted(site.gpu_order) in ([], list(range(site.num_gpus or 0)))


@pytest.mark.parametrize("name", SITES)
def test_shipped__what_is_charged_for_a_name_is_known(name):
    site = shipped(name)
    assert bool(site.priorities) == bool(site.directives.priority)


HOSTS = {
    "polaris": ("polaris-login-02", "x3006c0s13b0n0"),
    "aurora": ("aurora-uan-0010", "x4305c2s1b0n0"),
    "crux": ("crux-login-01", "x1000c0s0b0n0"),
    "sophia": ("sophia-login-01", "sophia-gpu-11"),
    "derecho": ("derecho3", "deg0044", "dec1234"),
    "casper": ("casper-login1", "casper36", "crhtc53"),
    "frontier": ("login05.frontier.olcf.ornl.gov", "frontier00123"),
    "delta": ("dt-login03.delta.ncsa.illinois.edu", "cn001.delta.internal.ncsa.edu"),
    "vista": ("login1.vista.tacc.utexas.edu", "c608-022.vista.tacc.utexas.edu"),
    "lonestar6": ("login2.ls6.tacc.utexas.edu",),
    "juwels": ("jwlogin24.juwels", "jwb0001.juwels"),
    "theta": ("thetalogin4",),
    "thetagpu": ("thetagpusn1", "thetagpu06"),
    "perlmutter": ("login07.chn.perlmutter.nersc.gov",),
}


@pytest.mark.parametrize("name", HOSTS)
def test_shipped__a_host_belongs_to_one_site(name):
    for host in HOSTS[name]:
        found = [s for s in SITES if any(fnmatchcase(host, g) for g in shipped(s).hostnames)]
        assert found == [name], host


@pytest.mark.parametrize(
    ("name", "queue", "order"),
    [
        ("polaris", "debug", [3, 2, 1, 0]),
        ("derecho", "main", [0, 1, 2, 3]),
        ("frontier", "batch", [4, 5, 2, 3, 6, 7, 0, 1]),
        ("delta", "gpuA100x4", [3, 2, 1, 0]),
        ("delta", "gpuA100x8", [2, 3, 0, 1, 6, 7, 4, 5]),
    ],
)
def test_shipped__order_of_devices(name, queue, order):
    assert shipped(name).for_queue(queue).gpu_order == order


def test_shipped__rules_that_jobs_trip_over():
    frontier, vista = shipped("frontier"), shipped("vista")
    assert not frontier.rules_of("debug").is_chaining_allowed
    assert frontier.for_queue("debug").directives.queue == "--qos="
    assert frontier.for_queue("batch").directives.queue == "--partition="
    assert vista.directives.forbidden == ["--gres", "--gpus-per-task", "--mem", "--export"]
    assert vista.for_queue("gg").num_gpus == 0
    assert shipped("polaris").rules_of("prod").max_array == 10
    assert shipped("derecho").rules_of("preempt").charge_factor == 0.2
    assert shipped("theta").charge.min_nodes == 128
