"""Scaling studies: what follows the number of ranks, and what was measured."""

import json

import pytest

from hpctrain.errors import ConfigError
from hpctrain.sweep.scaling import Study, measure, study_points, study_text, with_study
from tests.jobs import mantle
from tests.unit.sweep.builders import sweep, write

NODES = Study("resources.nodes", (1, 2, 4))


def test_study_points__weak_grows_batch_and_every_rate():
    points = study_points(mantle("generic-slurm").job, NODES)
    assert [p["resources.nodes"] for p in points] == [1, 2, 4]
    assert [p["train.global_batch_size"] for p in points] == [4, 8, 16]
    assert [p["train.optimizer.learning_rate"] for p in points] == [3e-3, 6e-3, 12e-3]
    assert [p["train.adversary.optimizer.learning_rate"] for p in points] == [1e-3, 2e-3, 4e-3]


@pytest.mark.parametrize(("rule", "rate"), [("linear", 12e-3), ("sqrt", 6e-3), ("none", 3e-3)])
def test_study_points__rules(rule, rate):
    study = Study("resources.nodes", (4,), rule=rule)
    (point,) = study_points(mantle("generic-slurm").job, study)
    assert point["train.optimizer.learning_rate"] == rate


def test_study_points__strong_keeps_both():
    study = Study("resources.nodes", (1, 2), mode="strong", epochs=3)
    points = study_points(mantle("generic-slurm").job, study)
    assert points[1] == {"resources.nodes": 2, "train.epochs": 3}


def test_study_points__the_job_is_the_measure():
    settings = ("resources.nodes=2", "train.global_batch_size=8")
    job = mantle("generic-slurm", *settings).job
    points = study_points(job, Study("resources.nodes", (1, 2)))
    assert [p["train.global_batch_size"] for p in points] == [4, 8]
    assert [p["train.optimizer.learning_rate"] for p in points] == [1.5e-3, 3e-3]
    odd = job.model_copy(update={"resources": job.resources.model_copy(update={"nodes": 3})})
    with pytest.raises(ConfigError, match="a batch of 8 for 3 cannot become one for 1"):
        study_points(odd, Study("resources.nodes", (1,)))


def test_with_study__is_a_throttled_sweep(tmp_path):
    resolved = with_study(mantle("generic-slurm"), NODES)
    assert resolved.job.name == "mantle-scale"
    outcome = write(tmp_path, resolved, "mantle-scale")
    assert outcome.plan.how == "throttled"
    assert "resources.nodes differ" in outcome.plan.why


def test_with_study__a_job_with_a_sweep_is_refused():
    with pytest.raises(ConfigError, match="scale makes a sweep of its own"):
        with_study(sweep({"grid": {"train.seed": [1, 2]}}), NODES)


@pytest.fixture
def study(tmp_path):
    resolved = mantle("generic-slurm")
    write(tmp_path, with_study(resolved, NODES), "s")
    (tmp_path / "s" / "scaling.json").write_text(study_text(resolved.job, NODES))
    return tmp_path / "s"


def add_metrics(study, name, speeds):
    lines = [
        {"kind": "train", "step": 10 * i, "samples_per_s": v, "share/data": 0.1}
        for i, v in enumerate(speeds, 1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"kind": "validation", "step": 1}])
    (study / "points" / name / "logs" / "metrics.jsonl").write_text(text + '{"kind": "tra')


def test_measure__median_after_warm_up(study):
    add_metrics(study, "000", [1.0, 100.0, 104.0, 102.0])
    add_metrics(study, "002", [3.0, 300.0, 1000.0, 306.0])
    rows = measure(study)
    assert [row["samples/s"] for row in rows] == [102.0, None, 306.0]
    assert [row["speed-up"] for row in rows] == [1.0, None, 3.0]
    assert [row["efficiency"] for row in rows] == [1.0, None, 0.75]
    assert (rows[2]["ranks"], rows[2]["nodes"], rows[2]["steps"]) == (8, 4, 40)
    assert rows[0]["data"] == 0.1
    assert rows[0]["communication"] is None


def test_measure__nothing_ran_yet(study):
    assert {row["speed-up"] for row in measure(study)} == {None}


@pytest.mark.parametrize("text", [None, "{", "[]", '{"points": [], "key": "x"}'])
def test_measure__no_study(study, text):
    (study / "scaling.json").unlink()
    if text is not None:
        (study / "scaling.json").write_text(text)
    with pytest.raises(ConfigError, match=r"has no scaling\.json|cannot be read"):
        measure(study)
