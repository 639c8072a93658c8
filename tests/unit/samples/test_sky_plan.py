from collections import Counter
from datetime import datetime, timezone

import pytest

from hpctrain.formats.sage_names import SKY_POSITIONS
from hpctrain.samples.sky_pairs import APART_NS, KINDS, pairs
from hpctrain.samples.sky_plan import PARTS, Setup, sun

SETUP = Setup(192, 3, 0, (1200, 400), 16, False)


def plan(setup=SETUP):
    return list(setup.scenes_of(setup.cameras()))


def ns(*when):
    return int(datetime(*when, tzinfo=timezone.utc).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("when", "place", "elevation", "azimuth"),
    [
        ((2023, 6, 21, 12, 2), (0, 0), 66.6, 0),  # noon at the equator, sun in the north
        ((2023, 3, 20, 12, 7), (45, 0), 45, 180),
        ((2023, 12, 21, 12, 0), (51.48, 0), 15.1, 180),
        ((2023, 6, 21, 19, 0), (41.7, -87.98), 67.1, 222),  # by hand, hour angle 16.5 degrees
        ((2023, 3, 20, 18, 7), (0, 0), 0, 270),  # sets in the west
    ],
)
def test_sun__known_places(when, place, elevation, azimuth):
    found = sun(ns(*when), *place)
    assert found[0] == pytest.approx(elevation, abs=0.7)
    assert (found[1] - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=4)


def test_scenes__of_all_nodes_positions_and_parts_of_the_day():
    found = plan()
    assert len(found) == 192
    assert {s.node.name for s in found} == {"V017", "W02D", "W039"}
    assert {s.position for s in found} == set(range(1, 33))
    assert {s.part for s in found} == set(PARTS)
    assert sum(s.position in SKY_POSITIONS for s in found) == 96
    assert len({(s.node.name, s.timestamp_ns // (86400 * 10**9)) for s in found}) > 15
    for node in ("V017", "W02D", "W039"):
        assert {s.part for s in found if s.node.name == node} == set(PARTS)


def test_scenes__sun_is_where_the_part_of_the_day_says():
    for scene in plan():
        found = sun(scene.start_ns, scene.node.latitude, scene.node.longitude)[0]
        low, high = PARTS[scene.part]
        assert low <= found <= high


def test_scenes__a_scan_goes_through_its_positions_in_order():
    scan = [s for s in plan() if s.scan == 4]
    assert len({s.weather for s in scan}) == 1
    assert [s.timestamp_ns for s in scan] == sorted(s.timestamp_ns for s in scan)
    order = [((s.position - 1) % 4, s.position) for s in scan]
    assert order == sorted(order)


def test_scenes__fewer_are_the_first_of_more():
    assert plan(Setup(20, 3, 0, (1200, 400), 0, False)) == plan()[:20]
    assert plan(Setup(20, 3, 1, (1200, 400), 0, False)) != plan()[:20]


def test_pairs__each_kind_of_fault_is_what_it_says():
    found = pairs(plan(), SETUP)
    assert Counter(p.kind for p in found if p.kind) == dict.fromkeys(KINDS, 2)
    assert len({p.list_path for p in found}) == len({p.rgb for p in found}) == 192
    by_kind = {p.kind: p for p in found}
    good = by_kind[""]
    assert good.rgb.partition("-")[0] == good.thermal.partition("-")[0] == str(good.timestamp_ns)
    assert f"_position{good.frame.position}." in good.rgb
    assert f"_position{good.frame.position}." in good.thermal
    apart = by_kind["unequal-times"]
    assert apart.timestamp_ns - int(apart.rgb.partition("-")[0]) == APART_NS
    unequal = by_kind["unequal-positions"]
    assert unequal.rgb.partition("_")[2][:-4] != unequal.thermal.rpartition("_")[2][:-4]
    assert "position" not in by_kind["missing-position"].rgb
    assert len(by_kind["missing-twin"].files()) == 2
    assert by_kind["listed-bad"].list_path.startswith("train/bad_pairs/")
    copy = by_kind["duplicate"]
    (source,) = [p for p in found if p.number == copy.number and p is not copy]
    assert not source.kind
    assert copy.timestamp_ns == source.timestamp_ns + 10**9
