"""Tables and sentences of runs whose answer is known."""

import json
import math
from dataclasses import replace

import pytest

from hpctrain.errors import ConfigError
from hpctrain.study.answer import answer
from hpctrain.study.curves import answer_curves, value_at
from hpctrain.study.distance import answer_distance
from hpctrain.study.made import unlike_arithmetic
from hpctrain.study.range_test import answer_range, read_range
from hpctrain.study.record import Moment
from hpctrain.study.schedules import answer_rates
from tests.unit.study.builders import page, trained

SLOW_AND_GOOD = [
    trained(0, [2.0, 1.5, 1.2], 0, step_s=1.0),
    trained(0, [2.0, 1.5, 1.21], 1, step_s=1.0),
    trained(1, [1.9, 1.3, 1.0], 0, step_s=3.0),
    trained(1, [1.9, 1.3, 1.01], 1, step_s=3.0),
]


def test_value_at__lies_between_two_validations():
    curve = [(1, 10.0, 3.0), (2, 20.0, 1.0)]
    assert value_at(curve, 15.0) == pytest.approx(2.0)
    assert value_at(curve, 10.0) == 3.0
    assert value_at(curve, 20.0) == 1.0
    assert value_at(curve, 9.0) is None
    assert value_at(curve, 21.0) is None


def test_curves__equal_steps_and_equal_time_may_differ():
    found = answer_curves(page("blocks", ["plain", "residual"]), SLOW_AND_GOOD)
    plain, residual = found.rows
    assert (plain["steps"], plain["samples"], plain["train_s"]) == (30, 240, 30.0)
    assert (plain["loss"], residual["loss"]) == pytest.approx((1.205, 1.005))
    # 30 s are the end of plain, and the first validation of residual
    assert (plain["loss at 30 s"], residual["loss at 30 s"]) == pytest.approx((1.205, 1.9))
    steps, time = found.sentences[:2]
    assert steps.startswith("at equal steps: residual (1.005) has the lowest loss, before plain")
    assert time.startswith("at equal time, 30 s of training: plain (1.205) has the lowest loss")
    assert found.sentences[-1] == "noise: from runs that differ in their seed alone"


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("psnr", "--metric: unknown 'psnr'; choose from loss"),
        (None, "compared by 'mse', which no validation of them has; give --metric, one of loss"),
    ],
)
def test_answer__of_a_metric_that_was_not_measured(tmp_path, metric, words):
    own = page("blocks", ["plain"], metric="mse")
    own["runs"] = [{"name": "000", "arm": 0, "seed": 0}]
    logs = tmp_path / "points" / "000" / "logs"
    logs.mkdir(parents=True)
    line = {"kind": "validation", "step": 1, "loss": 1.0}
    (logs / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ConfigError, match=".") as info:
        answer(tmp_path, own, metric)
    assert words in str(info.value)
    assert metric or not str(info.value).startswith("--metric")


def test_curves__an_arm_without_a_validation_by_then_is_named():
    runs = [trained(0, [2.0, 1.0]), trained(1, [2.0, 1.0], step_s=9.0)]
    found = answer_curves(page("batch", ["64", "128"]), runs)
    assert any("128 had no validation yet" in text for text in found.sentences)


def test_curves__a_falling_rate_is_told_at_equal_time():
    found = answer_curves(page("blocks", ["a", "b"], schedule="cosine"), SLOW_AND_GOOD)
    assert any("schedule.kind: constant is fair" in text for text in found.sentences)


@pytest.mark.parametrize(
    ("more", "words"),
    [({}, "after 240 to 320 samples: "), ({"last_batch": "keep"}, "at equal samples: ")],
)
def test_curves__batches_that_leave_out_unlike_many_samples(more, words):
    runs = [trained(0, [2.0, 1.0, 0.5, 0.4]), trained(1, [2.0, 1.0, 0.9])]
    found = answer_curves(page("batch", ["64", "128"], **more), runs)
    assert found.sentences[0].startswith(words)


def test_curves__diverged_and_unfinished_runs_are_no_rivals():
    runs = [
        *SLOW_AND_GOOD,
        trained(2, [0.1], 0, state="diverged"),
        trained(3, [0.1], 0, state="running"),
    ]
    found = answer_curves(page("blocks", ["a", "b", "wild", "young"]), runs)
    assert "wild" not in found.sentences[0]
    assert "young" not in found.sentences[0]
    assert "diverged, to a loss that is no number: wild" in found.sentences
    assert [row["loss"] for row in found.rows[2:]] == [None, None]
    assert found.rows[3]["runs"] == "1 running"


def test_curves__the_arithmetic_of_each_run_is_shown_and_told_where_it_differs():
    names = "float32", "float32", "bfloat16", "float32"
    runs = [replace(run, precision=p) for run, p in zip(SLOW_AND_GOOD, names, strict=True)]
    found = answer_curves(page("blocks", ["plain", "residual"]), runs)
    assert [row["precision"] for row in found.rows] == ["float32", "bfloat16, float32"]
    (text,) = unlike_arithmetic(["plain", "residual"], runs)
    assert "(float32: plain, residual; bfloat16: residual)" in text
    assert unlike_arithmetic(["plain", "residual"], runs[:2]) == []


def test_curves__an_arm_that_only_got_worse_asks_for_more_epochs():
    runs = [trained(0, [1.0, 1.2, 1.4, 1.6]), trained(1, [1.0, 0.8, 0.6, 0.4])]
    found = answer_curves(page("batch", ["64", "128"]), runs)
    expected = "worse at the end than at the first validation: 64; train longer to compare them"
    assert expected in found.sentences


def test_curves__of_pools_tell_what_was_learned_by_heart():
    found = answer_curves(page("pool", ["streamed", "pool of 9"]), SLOW_AND_GOOD)
    assert found.rows[0]["training loss"] == pytest.approx(0.705)
    expected = "validation loss less training loss: streamed 0.5, pool of 9 0.5"
    assert expected in found.sentences


def test_rates__one_curve_a_schedule():
    arms = [(rate, kind) for rate in (1e-4, 1e-3) for kind in ("constant", "cosine")]
    own = page("schedules", [f"{kind} {rate:g}" for rate, kind in arms])
    for arm, (rate, kind) in zip(own["arms"], arms, strict=True):
        arm["columns"] = {"rate": rate, "schedule": kind}
    runs = [trained(i, [2.0, 1.0 + i], seed) for seed in (0, 1) for i in range(4)]
    found = answer_rates(own, runs)
    assert [curve["label"] for curve in found.plot["curves"]] == ["constant", "cosine"]
    assert found.plot["curves"][1]["values"] == [2.0, 4.0]
    assert found.sentences[0].startswith("at equal steps: constant 0.0001 (1) has the lowest")


def falling(rate):
    """Steepest at 1e-3, lowest at 1e-2, then up."""
    x = math.log10(rate)
    return 2 - math.tanh(2 * (x + 3)) + (4 * (x + 2) ** 2 if x > -2 else 0)


def test_range__finds_the_lowest_and_the_steepest():
    rates = [10 ** (-6 + 6 * i / 200) for i in range(200)]
    found = read_range(rates, [falling(rate) for rate in rates])
    assert found.rates[found.lowest] == pytest.approx(1e-2, rel=0.3)
    assert found.rates[found.steepest] == pytest.approx(1e-3, rel=0.3)
    assert found.suggested == pytest.approx(1e-3, rel=0.3)
    assert not found.is_open


def ranged(function, top=0.0, state="finished"):
    rates = [10 ** (-6 + (top + 6) * i / 200) for i in range(200)]
    lines = [
        Moment(8 * i, float(i), {"loss/vae": function(rate), "learning_rate/vae": rate})
        for i, rate in enumerate(rates)
    ]
    return trained(0, [1.0], training=tuple(lines), state=state)


def test_range__says_how_far_the_job_is_from_it():
    found = answer_range(page("rate", ["rising"], rate=0.1), [ranged(falling, state="diverged")])
    assert "is lowest at 0.0" in found.sentences[0]
    assert "the job has 0.1, 1" in found.sentences[0]
    assert "times that" in found.sentences[0]
    assert found.sentences[1].startswith("one run")
    assert found.rows[0]["diverged at"] == pytest.approx(10**-0.03)


def test_range__that_ends_too_early_suggests_nothing():
    found = answer_range(page("rate", ["rising"]), [ranged(lambda rate: -math.log(rate))])
    assert "the range ended too early" in found.sentences[0]


def test_range__without_steps():
    with pytest.raises(ConfigError, match="has made ten steps yet"):
        answer_range(page("rate", ["rising"]), [trained(0, [])])


def by_distance(edge, seed):
    curve = {"distance": [0.1, 0.4, 0.7, 1.0], "mse": [1.0, 1.0, 1.05, edge]}
    return trained(0, [1.0], seed, by_distance=curve)


def test_distance__compares_the_surface_with_the_middle():
    own = page("distance", ["as it is"])
    found = answer_distance(own, [by_distance(1.8, 0), by_distance(1.82, 1)])
    assert found.rows[-1]["to the middle"] == pytest.approx(1.81)
    assert "is 1.81 times that of its middle" in found.sentences[0]
    assert "from distance 1 outwards" in found.sentences[1]


def test_distance__within_the_noise_is_no_difference():
    own = page("distance", ["as it is"])
    found = answer_distance(own, [by_distance(0.9, 0), by_distance(1.2, 1)])
    assert found.sentences[0].endswith("between seeds: no difference")
    alone = answer_distance(own, [by_distance(1.8, 0)])
    assert alone.sentences[0].endswith("one run, so nothing says what is noise")
    with pytest.raises(ConfigError, match="validated yet"):
        answer_distance(own, [trained(0, [1.0])])
