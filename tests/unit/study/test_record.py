"""Metrics of a run become curves over samples and seconds."""

import json

import pytest

from hpctrain.study.record import read_runs
from tests.unit.study.builders import job, page

LINES = [
    {"kind": "train", "step": 2, "samples_per_s": 64.0, "cpu_s": 3.0, "loss/vae": 2.0},
    {"kind": "train", "step": 5, "samples_per_s": 32.0, "cpu_s": 4.0, "loss/vae": 1.5},
    {"kind": "validation", "step": 5, "loss": 1.4},
    {"kind": "validation", "step": 5, "loss": "nan"},
    {"kind": "alarm", "step": 5, "spike": 9.0},
]


@pytest.fixture(params=[()])
def folder(tmp_path, request):
    run = tmp_path / "points" / "000"
    (run / "logs").mkdir(parents=True)
    settings = job("scroll", "train.global_batch_size=32", *request.param).job
    (run / "config.yaml").write_text(settings.model_dump_json())
    cut = '{"kind": "train", "step": 6, "sam'
    text = "".join(json.dumps(line) + "\n" for line in LINES) + cut
    (run / "logs" / "metrics.jsonl").write_text(text)
    (run / "state.json").write_text(json.dumps({"status": "finished", "precision": "bfloat16"}))
    return tmp_path


@pytest.mark.parametrize(("clock", "seconds"), [("wall", 2 * 32 / 64 + 3 * 32 / 32), ("cpu", 7.0)])
def test_read_runs__adds_up_the_time_of_the_steps(folder, clock, seconds):
    own = page("blocks", ["plain"], runs=[{"name": "000", "arm": 0, "seed": 0}])
    (run,) = read_runs(folder, own, clock)
    assert run.precision == "bfloat16"
    assert (run.steps, run.seconds) == (5, pytest.approx(seconds))
    assert run.curve("loss") == [(160, pytest.approx(seconds), 1.4)]


SHORT = ("data.samples_per_epoch=50", "train.last_batch=keep", "train.network.block=plain")
"""32 and 18 samples an epoch."""


@pytest.mark.parametrize("folder", [SHORT], indirect=True)
def test_read_runs__a_short_batch_that_is_kept_counts_as_short(folder):
    own = page("batch", ["32"], runs=[{"name": "000", "arm": 0, "seed": 0}])
    (run,) = read_runs(folder, own)
    assert run.steps == 5
    assert run.curve("loss") == [(132, pytest.approx(50 / 64 + 82 / 32), 1.4)]


def test_read_runs__one_that_has_not_begun(tmp_path):
    own = page("blocks", ["plain"], runs=[{"name": "000", "arm": 0, "seed": 0}])
    (run,) = read_runs(tmp_path, own)
    assert (run.steps, run.seconds, run.curve("loss")) == (0, 0.0, [])
    assert not run.is_done
