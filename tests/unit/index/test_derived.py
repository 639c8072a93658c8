"""Columns of an index that follow from node, time and position."""

from __future__ import annotations

import calendar

import pytest

from hpctrain.config.index_rule import Rule
from hpctrain.config.read_rule import read_rule
from hpctrain.errors import ConfigError
from hpctrain.index.advice import rule_warnings
from hpctrain.index.sun import sun_elevation
from hpctrain.samples.sky_plan import sun
from tests.unit.index import sky

CHICAGO = {"node": "W02D", "latitude": 41.88, "longitude": -87.62, "time_zone": "America/Chicago"}


def test_sun__agrees_with_the_published_example() -> None:
    # Reda and Andreas 2008 (NREL/TP-560-34302), appendix A.5: 39.872046 without refraction
    ns = calendar.timegm((2003, 10, 17, 19, 30, 30)) * 10**9
    assert abs(sun_elevation(ns, 39.742476, -105.1786) - 39.872046) < 0.005


def test_sun__agrees_with_another_formula_within_its_error() -> None:
    for day in range(0, 3650, 17):
        ns = (1_577_836_800 + day * 86_400 + day * 997 % 86_400) * 10**9
        place = (day % 160 - 80, day * 7 % 360 - 180)
        assert abs(sun_elevation(ns, *place) - sun(ns, *place)[0]) < 0.5


def test_columns__follow_node_time_and_position(tmp_path) -> None:
    for number in range(3):  # 2023-03-08T20:58:38, 02:58:38 and 08:58:38 the next day
        sky.write_pair(tmp_path, 6 * number, position=str(number + 1))
    sky.write_pair(tmp_path, 1, node="V017")
    index = sky.built(tmp_path, places=[CHICAGO])
    own = [row for row in index.rows if row["node"] == "W02D"]
    assert [row["view"] for row in own] == ["sky", "horizon", "below"]
    assert [row["daylight"] for row in own] == ["day", "night", "night"]
    assert own[0]["local_time"] == "2023-03-08T14:58:38-06:00"
    assert 28 < float(own[0]["sun_elevation"]) < 29
    (other,) = (row for row in index.rows if row["node"] == "V017")
    assert [other[c] for c in ("sun_elevation", "daylight", "local_time")] == ["", "", ""]


def test_columns__dusk_is_between_and_ends_as_the_rule_says(tmp_path) -> None:
    sky.write_pair(tmp_path, 3)  # 23:58:38, ten minutes after the sun has set
    places = [CHICAGO]
    assert sky.built(tmp_path, places=places).rows[0]["daylight"] == "dusk"
    late = {"night_below": -1.0}
    assert sky.built(tmp_path, places=places, daylight=late).rows[0]["daylight"] == "night"


def test_columns__a_moved_node_has_two_places_and_mounts(tmp_path) -> None:
    sky.write_pairs(tmp_path, 3)
    moved = {**CHICAGO, "longitude": 92.38, "mount": "roof", "after": "2023-03-08T22:00"}
    rows = sky.built(tmp_path, places=[CHICAGO, moved]).rows
    assert [row["mount"] for row in rows] == ["W02D", "W02D", "roof"]
    assert [row["daylight"] for row in rows] == ["day", "day", "night"]


def test_columns__of_a_rule_without_places_are_as_before(tmp_path) -> None:
    sky.write_pairs(tmp_path, 1)
    modalities = {"rgb": {"files": "rgb/**/*.jpg"}}
    assert sky.built(tmp_path, None, modalities=modalities).columns.free == ()


def test_advice__a_place_of_no_node_is_told(tmp_path) -> None:
    sky.write_pairs(tmp_path, 1)
    index = sky.built(tmp_path)
    rule = read_rule("sage", {"places": [{**CHICAGO, "node": "W02E"}]})
    (text,) = rule_warnings(index, rule)
    assert text == "places: no sample is of node 'W02E', so it places nothing; the nodes are W02D"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"places": [{**CHICAGO, "time_zone": "Chicago"}]}, "knows no time zone of"),
        ({"places": [{**CHICAGO, "latitude": 92}]}, "places"),
        ({"daylight": {"night_below": -6}}, "daylight: has no effect without places"),
        ({"places": [CHICAGO], "daylight": {"night_below": 3}}, "night_below 3 is above day_from"),
        ({"modalities": {"view": {"files": "a"}}}, "view: is a column that places or views fill"),
    ],
)
def test_rules__that_mean_nothing_are_refused(values, text) -> None:
    with pytest.raises(ConfigError, match=text):
        read_rule("sage", values)


def test_rules__views_need_positions() -> None:
    with pytest.raises(ValueError, match="nothing says where they stand"):
        Rule.model_validate({"modalities": {"a": {"files": "*"}}, "views": {"sky": "1"}})
