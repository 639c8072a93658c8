"""Array, ensemble or single jobs: what the queue allows decides, and says why."""

import pytest

from hpctrain.config.site import LauncherSpec, Limits, Rules, Site
from hpctrain.errors import ConfigError
from hpctrain.sweep.plan import choose
from tests.unit.sweep.builders import GRID, sweep


def site(scheduler: str = "slurm", launcher: str = "openmpi", **more) -> Site:
    spec = LauncherSpec(kind=launcher)
    return Site(name="x", title="x", scheduler=scheduler, launcher=spec, **more)


def with_rules(scheduler: str = "slurm", **rules) -> Site:
    return site(scheduler, rules={"*": Rules(**rules)})


def job(*settings: str, **spec):
    return sweep({"grid": GRID, **spec}, "generic-slurm", *settings).job


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
def test_choose__an_array_where_nothing_speaks_against_it(scheduler):
    plan = choose(job(), site(scheduler), 6, [])
    assert (plan.how, plan.parts, plan.max_running) == ("array", (6,), None)


@pytest.mark.parametrize(
    ("most", "points", "parts"),
    [(6, 6, (6,)), (4, 6, (3, 3)), (1000, 2500, (834, 833, 833)), (3, 7, (3, 2, 2))],
)
def test_choose__wide_arrays_are_cut_into_equal_parts(most, points, parts):
    plan = choose(job(), with_rules(max_array=most), points, [])
    assert plan.parts == parts
    assert sum(parts) == points


def test_choose__max_running_is_the_smaller():
    assert choose(job(max_running=4), with_rules(max_running=9), 6, []).max_running == 4
    assert choose(job(max_running=40), with_rules(max_running=9), 6, []).max_running == 9


@pytest.mark.parametrize("most", [0, 1, 2])
def test_choose__no_arrays_in_this_queue(most):
    plan = choose(job(), with_rules(max_array=most), 6, [])
    assert (plan.how, plan.parts) == ("throttled", ())
    assert "takes" in plan.why
    with pytest.raises(ConfigError, match="found 'array', and the queue takes"):
        choose(job(how="array"), with_rules(max_array=most), 6, [])


def test_choose__one_point_is_one_job():
    assert choose(job(), site(), 1, []).how == "throttled"


@pytest.mark.parametrize(
    ("how", "expected"), [("auto", "array"), ("requeue", "array"), ("presubmit", "throttled")]
)
def test_choose__chains_in_arrays(how, expected):
    chained = job("chain.max_jobs=3", f"chain.how={how}")
    assert choose(chained, site(), 6, []).how == expected


def test_choose__cobalt_has_no_arrays():
    assert choose(job(), site("cobalt"), 6, []).how == "throttled"
    limits = {"*": [Limits(nodes=(1, 8), walltime="02:00:00")]}
    roomy = site("cobalt", queues=limits)
    plan = choose(job("resources.queue=full"), roomy, 6, [])
    assert (plan.how, plan.slots) == ("ensemble", 6)
    assert "Cobalt has no arrays" in plan.why
    # not all side by side: a walltime meant for one point would have to do for several
    assert choose(job("resources.queue=full"), roomy, 9, []).how == "throttled"
    assert choose(job("resources.queue=full", how="ensemble"), roomy, 9, []).slots == 8


def test_choose__points_that_ask_for_different_things():
    differing = ["resources.nodes"]
    plan = choose(job(), site(), 4, differing)
    assert plan.how == "throttled"
    for how in ("array", "ensemble"):
        with pytest.raises(ConfigError, match=r"ask for the same, and resources\.nodes differ"):
            choose(job(how=how, max_running=2), site(), 4, differing)


def test_choose__ensemble_needs_to_know_its_width():
    assert choose(job(how="ensemble", max_running=3), site(), 6, []).slots == 3
    assert choose(job(how="ensemble", max_running=30), site(), 6, []).slots == 6
    assert choose(job(how="ensemble"), site(max_nodes=4), 6, []).slots == 4
    with pytest.raises(ConfigError, match=r"sweep\.max_running: is missing"):
        choose(job(how="ensemble"), site(), 6, [])


def test_choose__ensembles_that_cannot_be():
    with pytest.raises(ConfigError, match="launcher ibrun cannot be kept to some of a job's nodes"):
        choose(job(how="ensemble", max_running=2), site(launcher="ibrun"), 6, [])
    with pytest.raises(ConfigError, match="launcher torchrun cannot"):
        choose(job("launch.launcher=torchrun", how="ensemble", max_running=2), site(), 6, [])
    with pytest.raises(ConfigError, match="a chain goes on point by point"):
        choose(job("chain.max_jobs=3", how="ensemble", max_running=2), site(), 6, [])


def test_choose__local_runs_one_after_another():
    plan = choose(job(), site("local"), 6, ["resources.nodes"])
    assert (plan.how, plan.slots) == ("ensemble", 1)
    with pytest.raises(ConfigError, match="there is no queue here; choose auto"):
        choose(job(how="throttled"), site("local"), 6, [])
