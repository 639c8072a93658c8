"""The number of parts is settled when a job is rendered, and kept when it goes on."""

from __future__ import annotations

import pytest
import yaml

from hpctrain.config.run_facts import differences, run_facts
from hpctrain.errors import ConfigError
from hpctrain.render import render
from hpctrain.render.order import with_parts
from tests.jobs import BATCH, inputs, mantle

DIVIDED = "data.order.kind=divided"


def job(*settings):
    return mantle("generic-slurm", *BATCH, *settings).job


def test_parts__one_a_rank_written_into_config_yaml():
    resolved = mantle("generic-slurm", *BATCH, DIVIDED)
    page = yaml.safe_load(render(resolved.job, resolved.site, inputs())["config.yaml"].content)
    assert page["data"]["order"] == {
        "kind": "divided",
        "parts": 8,
        "shuffle_distance": 1.0,
        "deal": "fixed",
    }


def test_parts__those_of_the_run_that_it_goes_on_from(tmp_path):
    resolved = mantle("generic-slurm", *BATCH, DIVIDED)
    text = render(resolved.job, resolved.site, inputs())["config.yaml"].content
    (tmp_path / "config.yaml").write_bytes(text)
    later = job(DIVIDED, "resources.nodes=1", "resources.ranks_per_node=2")
    assert with_parts(later).data.order.parts == 2
    assert with_parts(later, tmp_path).data.order.parts == 8
    assert with_parts(later, tmp_path / "gone").data.order.parts == 2
    named = job(DIVIDED, "data.order.parts=4")
    assert with_parts(named, tmp_path) is named


def test_global_order__has_no_parts_and_is_no_fact_of_older_runs():
    assert with_parts(job()).data.order.parts is None
    assert "order" not in run_facts(job())["data"]


@pytest.mark.parametrize(
    "change", ["data.order.parts=2", "data.order.shuffle_distance=2", "data.order.deal=each_epoch"]
)
def test_resume__with_another_order_is_refused(change):
    before, now = (run_facts(with_parts(job(DIVIDED, *more))) for more in ((), (change,)))
    assert differences(before, now)
    assert differences(run_facts(job()), now)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("data.order.parts=4",), "parts would have no effect with kind: global"),
        (("data.order.shuffle_distance=2",), "shuffle_distance would have no effect"),
        ((DIVIDED, "data.order.parts=3"), "3 parts, and a batch of 8 takes as many"),
        ((DIVIDED, "data.order.shuffle_distance=-1"), "data.order.shuffle_distance"),
        ((DIVIDED, "data.order.shuffle_distance=.inf"), "data.order.shuffle_distance"),
    ],
)
def test_bad_order__is_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        job(*settings)
