"""Figures of studies: every view draws, both files carry the stamp, the same twice."""

import pytest

from hpctrain.analysis.study import write_plot
from hpctrain.provenance import Stamp, read
from hpctrain.study.curves import answer_curves
from hpctrain.study.distance import answer_distance
from hpctrain.study.range_test import answer_range
from hpctrain.study.schedules import answer_rates
from tests.unit.study.builders import page, trained
from tests.unit.study.test_answers import SLOW_AND_GOOD, by_distance, falling, ranged


def schedules():
    own = page("schedules", ["constant 0.001", "cosine 0.001"])
    for arm, kind in zip(own["arms"], ("constant", "cosine"), strict=True):
        arm["columns"] = {"rate": 1e-3, "schedule": kind}
    return answer_rates(own, [trained(0, [2.0, 1.0]), trained(1, [2.0, 1.1])])


VIEWS = {
    "curves": lambda: answer_curves(page("blocks", ["plain", "residual"]), SLOW_AND_GOOD),
    "pool": lambda: answer_curves(page("pool", ["streamed", "pool"]), SLOW_AND_GOOD),
    "rates": schedules,
    "range": lambda: answer_range(page("rate", ["rising"]), [ranged(falling)]),
    "distance": lambda: answer_distance(page("distance", ["as it is"]), [by_distance(2.0, 0)]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_write_plot__draws_every_view(tmp_path, name):
    view = "curves" if name == "pool" else name
    plot = {"view": view, "title": "Which <blocks> & rates?", **VIEWS[name]().plot}
    written = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = write_plot(plot, tmp_path / folder / "answer.png", Stamp("study", run_name="000"))
        for product in (path, path.with_suffix(".svg")):
            found = read(product)
            assert found.stamp.run_name == "000"
            assert found.is_intact
        written.append(path.with_suffix(".svg").read_bytes())
    assert written[0] == written[1]


def test_write_plot__names_each_arm_once(tmp_path):
    plot = {"view": "curves", "title": "", **VIEWS["curves"]().plot}
    svg = write_plot(plot, tmp_path / "answer.png", Stamp("study")).with_suffix(".svg")
    assert svg.read_text().count("<!-- residual -->") == 1
