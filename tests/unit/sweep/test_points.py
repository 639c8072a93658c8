"""Which points a sweep has, and which jobs they make."""

import random

import pytest

from hpctrain.config.sweep import Sweep
from hpctrain.errors import ConfigError
from hpctrain.sweep import expand
from hpctrain.sweep.points import differing_resources, refuse_duplicates, resolve_points
from tests.unit.sweep.builders import GRID, sweep

RANDOM = {
    "parameters": {
        "train.optimizer.learning_rate": {"low": 1e-5, "high": 1e-2, "scale": "log"},
        "train.seed": {"low": 0, "high": 1000, "scale": "integer"},
        "train.optimizer.weight_decay": {"low": 0.0, "high": 0.1},
    },
    "num_points": 4,
    "seed": 7,
}


def spec(**blocks) -> Sweep:
    return Sweep.model_validate(blocks)


def test_expand__grid_first_key_slowest():
    found = list(expand(spec(grid={"train.epochs": [1, 2], "train.seed": [0, 1]})))
    assert [(p["train.epochs"], p["train.seed"]) for p in found] == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_expand__grid_times_points_times_random():
    listed = [{"train.criterion": "l1"}, {"train.criterion": "mse", "train.accumulate": 2}]
    found = list(expand(spec(grid={"train.epochs": [1, 2, 3]}, points=listed, random=RANDOM)))
    assert len(found) == 3 * 2 * 4
    assert found[0].keys() - found[4].keys() == set()
    assert "train.accumulate" in found[4]
    # every combination meets the same draws
    assert [p["train.seed"] for p in found[:4]] == [p["train.seed"] for p in found[-4:]]


def test_expand__draws_follow_from_the_seed_alone():
    turned = {**RANDOM, "parameters": dict(reversed(RANDOM["parameters"].items()))}
    random.seed(0)
    first = list(expand(spec(random=RANDOM)))
    random.seed(1)
    assert list(expand(spec(random=turned))) == first
    assert list(expand(spec(random={**RANDOM, "seed": 8}))) != first
    # recorded: the same on every machine
    assert first[0] == {
        "train.optimizer.learning_rate": 9.3648e-05,
        "train.optimizer.weight_decay": 0.0150849,
        "train.seed": 666,
    }


def test_expand__draws_keep_to_their_bounds_and_scale():
    many = list(expand(spec(random={**RANDOM, "num_points": 500})))
    rates = sorted(p["train.optimizer.learning_rate"] for p in many)
    assert 1e-5 <= rates[0] < 1.2e-5
    assert 8e-3 < rates[-1] <= 1e-2
    assert 2e-4 < rates[250] < 5e-4  # the middle of the logarithm
    seeds = {p["train.seed"] for p in many}
    assert all(isinstance(s, int) and 0 <= s <= 1000 for s in seeds)


def test_expand__is_lazy():
    huge = spec(grid={f"train.x{i}": list(range(10)) for i in range(12)})
    assert next(expand(huge))["train.x0"] == 0


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ({"grid": {"name": ["a"]}}, "found 'name'; allowed: the path of a value"),
        ({"grid": {"site": ["local"]}}, "found 'site'"),
        ({"points": [{}]}, "names no parameter"),
        ({"grid": {"a.b": [1]}, "points": [{"a.b": 2}]}, "a.b is in both grid and points"),
    ],
)
def test_sweep__refused(blocks, words):
    with pytest.raises(ValueError, match=words):
        spec(**blocks)


def test_resolve_points__each_is_a_job_of_its_own():
    resolved = sweep({"grid": GRID})
    points = list(resolve_points(resolved))
    assert [p.name for p in points] == [f"{i:03}" for i in range(6)]
    assert [p.job.name for p in points[:2]] == ["mantle-000", "mantle-001"]
    assert points[4].job.train.epochs == 12
    assert points[4].job.train.optimizer.learning_rate == 2e-3
    assert all(p.job.sweep is None for p in points)
    assert resolved.job.train.epochs == 10  # the job itself is not touched


def test_resolve_points__the_site_follows_the_queue():
    resolved = sweep({"grid": {"resources.queue": ["a", "b"]}})
    assert [p.job.resources.queue for p in resolve_points(resolved)] == ["a", "b"]


def test_resolve_points__a_wrong_value_names_line_and_point():
    resolved = sweep({"grid": {"train.epochs": [3, 0]}})
    with pytest.raises(ConfigError) as info:
        list(resolve_points(resolved))
    text = str(info.value)
    assert "sweep point 001 (train.epochs=0)" in text
    assert "train.epochs: found the number 0; allowed: more than 0" in text


def test_resolve_points__a_rule_broken_elsewhere_names_the_point_too():
    resolved = sweep({"grid": {"resources.nodes": [1, 3]}})
    with pytest.raises(ConfigError, match=r"jobs/mantle.yaml:\d+.*sweep point 001") as info:
        list(resolve_points(resolved))
    assert "cannot be shared equally by 6 ranks" in str(info.value)


def test_resolve_points__an_unknown_key_has_the_nearest():
    resolved = sweep({"grid": {"train.epoch": [1, 2]}})
    with pytest.raises(ConfigError, match="Did you mean 'epochs'"):
        list(resolve_points(resolved))


def test_refuse_duplicates__names_both():
    resolved = sweep({"grid": {"train.seed": [1, 2, 1.0]}})
    with pytest.raises(ConfigError, match="points 0 and 2 are the same"):
        refuse_duplicates(resolved)
    refuse_duplicates(sweep({"grid": {"train.deterministic": [1, True]}}))
    refuse_duplicates(sweep({"grid": {"train.seed": [-1, -2]}}))  # Python gives both one hash
    refuse_duplicates(sweep({"grid": {"macros.x": ["1", 1, None, "None"]}}))


def test_refuse_duplicates__too_many():
    grid = {f"macros.x{i}": list(range(10)) for i in range(6)}
    with pytest.raises(ConfigError, match="makes 1000000 points; allowed: 100000 or fewer"):
        refuse_duplicates(sweep({"grid": grid}))


def test_differing_resources__only_what_varies():
    grid = {"resources.nodes": [1], "train.epochs": [1, 2], "resources.walltime": ["a", "b"]}
    points = [{"resources.queue": "x"}, {"train.seed": 3}]
    found = differing_resources(spec(grid=grid, points=points))
    assert found == ["resources.queue", "resources.walltime"]
