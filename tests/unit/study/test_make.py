"""Questions become sweeps: what varies, what follows it, what stays equal."""

import json

import pytest

from hpctrain.errors import ConfigError
from hpctrain.study.make import Options, make_study
from hpctrain.study.questions import QUESTIONS, check_metric, metric_of
from hpctrain.sweep.points import resolve_points
from tests.jobs import REPO
from tests.unit.study.builders import job

KEPT = ("train.last_batch=keep", "train.network.block=plain")


def made(name, task, *settings, **options):
    study, text = make_study(job(task, *settings), name, Options(**options))
    return study, json.loads(text), list(resolve_points(study))


@pytest.mark.parametrize("name", QUESTIONS)
def test_make_study__every_question_makes_valid_runs_of_scrolls(name):
    study, page, points = made(name, "scroll")
    assert study.job.name == f"scroll-{name}"
    assert [run["name"] for run in page["runs"]] == [point.name for point in points]
    for run, point in zip(page["runs"], points, strict=True):
        assert point.job.train.seed == run["seed"]
        values = page["arms"][run["arm"]]["values"]
        assert values == {k: v for k, v in point.values.items() if k != "train.seed"}
        assert point.job.train.checkpoints.keep_last == 1
        assert point.job.train.figures_every_epochs == 0


def test_make_study__blocks_differ_in_nothing_else():
    _, page, points = made("blocks", "scroll", seeds=3)
    assert [arm["label"] for arm in page["arms"]] == ["plain", "batch_norm", "residual"]
    assert len(points) == 9
    first = points[0].job.train.model_dump()
    for point in points[:3]:
        own = point.job.train.model_dump()
        assert own.pop("network") != first["network"] or point is points[0]
        assert own == {key: value for key, value in first.items() if key != "network"}


def test_make_study__batches_keep_warmups_and_averages_in_samples():
    _, page, points = made("batch", "scroll", values=("32", "256"), seeds=1, rule="sqrt")
    small, large = (point.job.train for point in points)
    assert (small.schedule.warmup_steps, large.schedule.warmup_steps) == (200, 25)
    assert (small.divergence.warmup_steps, large.divergence.warmup_steps) == (1000, 125)
    assert small.ema.decay**8 == pytest.approx(large.ema.decay, abs=1e-5)
    assert large.optimizer.learning_rate == pytest.approx(6e-4)
    assert "Krizhevsky" in page["rule"]


JOBS = [path.stem for path in sorted((REPO / "jobs").glob("*.yaml"))]


@pytest.mark.parametrize("task", JOBS)
def test_metric_of__is_one_that_the_task_measures(task):
    for settings in ((), ("train.checkpoints.best=null",)):
        own = job(task, *settings).job
        check_metric(own, metric_of(own))
    known = {name.removeprefix("validation/") for name in own.train.validated}
    assert metric_of(own) in known
    with pytest.raises(ConfigError, match="choose from"):
        check_metric(own, "els")


def test_check_metric__of_neighbours_needs_a_column_that_they_tell():
    check_metric(job("dino").job, "knn_rgb")
    with pytest.raises(ConfigError, match="unknown 'knn_rgb'"):
        check_metric(job("dino", "train.watch.column=null").job, "knn_rgb")


@pytest.mark.parametrize(
    ("settings", "values", "samples"),
    [
        (("data.samples_per_epoch=1500",), (), 2048),
        (("data.samples_per_epoch=4096",), (), 4096),
        (("data.samples_per_epoch=1500",), ("64", "96"), 1536),
        (("data.samples_per_epoch=1500",), ("998", "1000"), 2000),  # of which one divides it
        (("data.samples_per_epoch=1500", *KEPT), (), 1500),
    ],
)
def test_make_study__batches_divide_an_epoch(settings, values, samples):
    _, page, points = made("batch", "scroll", *settings, values=values, seeds=1)
    assert {point.job.data.samples_per_epoch for point in points} == {samples}
    told = [f"an epoch has {samples} samples in all runs, which the batches divide"]
    assert page["notes"] == ([] if samples in (1500, 4096) else told)


def test_make_study__batches_keep_the_teacher_as_slow_in_samples():
    settings = ("train.global_batch_size=16", "train.teacher_momentum=0.99")
    _, _, points = made("batch", "dino", *settings, values=("16", "64"), seeds=1)
    own, large = (point.job.train for point in points)
    assert own.teacher_momentum == 0.99
    assert large.teacher_momentum == pytest.approx(0.99**4)
    assert own.teacher_temperature == job("dino").job.train.teacher_temperature
    assert large.teacher_temperature.warmup_steps == own.teacher_temperature.warmup_steps / 4
    assert large.centring.momentum == pytest.approx(own.centring.momentum**4)


def test_make_study__batches_of_other_data_are_around_the_jobs_own():
    _, page, points = made("batch", "mantle", "train.epochs=2", seeds=1)
    own = job("mantle").job
    sizes = [point.job.train.global_batch_size for point in points]
    assert own.train.global_batch_size in sizes
    assert len(sizes) > 2
    assert all(size % own.total_ranks == 0 for size in sizes)
    assert page["metric"] == "rmse/generator"


def test_make_study__pools_are_streamed_large_small_and_renewed():
    _, _, points = made("pool", "scroll", values=("100", "1000"), seeds=1, epochs=2)
    data = [(point.job.data.pool, point.job.data.pool_lasts) for point in points]
    assert data == [(None, None), (1000, None), (100, None), (100, 2 * 4096 // 5)]


def test_make_study__a_range_rises_over_the_whole_run_with_a_steady_loss():
    _, page, (point,) = made("rate", "scroll", values=("1e-5", "0.1"), seeds=1)
    train = point.job.train
    assert train.optimizer.learning_rate == pytest.approx(1e-5)
    assert train.schedule.kind == "exponential"
    assert train.schedule.final_factor == pytest.approx(1e4)
    assert train.schedule.warmup_steps == train.divergence.warmup_steps == 0
    assert train.log_every_steps == 1
    steps = point.job.data.samples_per_epoch * train.epochs / train.global_batch_size
    assert steps == 200
    assert page["rate"] == pytest.approx(3e-4)


def test_make_study__rates_of_an_adversary_keep_their_ratio():
    settings = ("train.adversary.optimizer.learning_rate=2.0e-4",)
    own = job("mantle", *settings).job.train
    ratio = own.adversary.optimizer.learning_rate / own.optimizer.learning_rate
    _, _, points = made("schedules", "mantle", *settings, seeds=1)
    for point in points:
        train = point.job.train
        found = train.adversary.optimizer.learning_rate / train.optimizer.learning_rate
        assert found == pytest.approx(ratio, rel=1e-4)
    assert {p.job.train.schedule.kind for p in points} == {"constant", "cosine", "exponential"}


@pytest.mark.parametrize(
    ("name", "task", "settings", "options", "words"),
    [
        ("blocks", "mantle", (), {}, "for scroll_vae, and for ink with network.kind"),
        ("blocks", "scroll", (), {"values": ("plane",)}, "plane"),
        ("pool", "cosmogan", (), {}, "this question is for data.kind: scroll"),
        ("pool", "scroll", (), {"epochs": 1}, "a pool of 10000 windows, and the run sees 4096"),
        ("distance", "cosmogan", (), {}, "measures no error by distance"),
        ("distance", "scroll", (), {"values": ("1",)}, "nothing varies"),
        ("rate", "cosmogan", (), {}, "tell no rate; ask: hpctrain study schedules"),
        ("rate", "scroll", (), {"values": ("1", "1e-3")}, "the range has two ends"),
        ("rate", "scroll", (), {"values": ("0", "1")}, "allowed: rates above 0"),
        ("batch", "scroll", (), {"values": ("8192",)}, "an epoch has data.samples_per_epoch 4096"),
        ("batch", "scroll", (), {"values": ("x",)}, "allowed: whole numbers"),
        ("batch", "scroll", (), {"values": ("63",)}, "63"),
        (
            "batch",
            "scroll",
            ("train.schedule={kind: step, milestones: [1], final_factor: 0.0}",),
            {},
            "schedule.kind: step counts steps",
        ),
        ("blocks", "scroll", ("sweep.grid={train.seed: [1]}",), {}, "makes a sweep of its own"),
    ],
)
def test_make_study__refuses_in_a_sentence(name, task, settings, options, words):
    with pytest.raises(ConfigError, match=".") as info:
        made(name, task, *settings, **options)
    assert words in str(info.value)
