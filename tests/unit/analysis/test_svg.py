"""Charts as SVG: scales, ticks, thinning."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from hpctrain.analysis.svg import BINS, LEFT, RIGHT, WIDTH, Axis, Chart, Curve, thin, tick_label


def draw(x, y, **y_axis):
    return Chart("c", [Curve("generator", x, y)], Axis("x"), Axis("y", **y_axis)).svg()


def points(svg):
    found = re.search(r'<polyline class="line c-generator" points="([^"]*)"', svg)[1]
    return [tuple(map(float, p.split(","))) for p in found.split()]


def ticks(svg, anchor):
    return re.findall(rf'class="tick"[^>]*text-anchor="{anchor}">([^<]*)<', svg)


def test_chart__is_well_formed_and_spans_its_box():
    svg = draw([0, 5, 10], [1.0, 3.0, 2.0])
    ET.fromstring(svg)
    (x0, y0), (_, y1), (x2, y2) = points(svg)
    assert (x0, x2) == (LEFT, WIDTH - RIGHT)
    assert y1 < y2 < y0


def test_chart__logarithm_where_values_span_decades():
    svg = draw([1, 2, 3], [1.0, 100.0, 10000.0], log=None)
    y = [p[1] for p in points(svg)]
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.2)
    assert "100" in ticks(svg, "end")


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [-1.0, 100.0, 1000.0]])
def test_chart__linear_for_narrow_or_signed_values(values):
    y = [p[1] for p in points(draw([1, 2, 3], values, log=None))]
    drop = (y[0] - y[1]) / (y[0] - y[2])
    assert drop == pytest.approx((values[1] - values[0]) / (values[2] - values[0]), abs=0.01)


def test_chart__gaps_and_non_finite_values_are_left_out():
    assert len(points(draw([1, 2, 3, 4], [1.0, None, math.nan, 2.0]))) == 2
    assert draw([1, 2], [None, math.inf]) == ""


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-9])
def test_chart__constant_values_lie_in_the_middle(value):
    y = points(draw([1, 2], [value, value]))[0][1]
    assert 90 < y < 115


def test_chart__constant_values_above_a_given_limit_do_not_lie_on_the_edge():
    assert points(draw([1, 2], [5.0, 5.0], low=0.0))[0][1] > 10


def test_chart__zero_on_a_logarithmic_axis_is_left_out():
    assert len(points(draw([1, 2, 3], [0.0, 1.0, 10.0], log=True))) == 2


def test_chart__rare_peaks_do_not_flatten_the_rest():
    values = [math.sin(i) for i in range(200)]
    values[3] = 1e4
    svg = draw(list(range(200)), values)
    assert "rare peaks are cut off" in svg
    assert max(float(t) for t in ticks(svg, "end")) <= 2


def test_chart__many_points_become_bins_with_a_band():
    svg = draw(list(range(1000)), [i % 7 for i in range(1000)])
    assert len(points(svg)) == BINS
    assert 'class="band c-generator"' in svg


def test_chart__whole_numbers_only_on_a_counting_axis():
    svg = Chart("c", [Curve("a", [1, 3], [0.0, 1.0])], Axis("epoch", whole=True), Axis("")).svg()
    assert ticks(svg, "middle") == ["1", "2", "3"]


def test_chart__texts_are_escaped():
    svg = Chart("<b>", [Curve('"><x', [1, 2], [1.0, 2.0])], Axis("a&b"), Axis("<c>")).svg()
    ET.fromstring(svg)


def test_thin__keeps_mean_and_extremes():
    bins = thin([(float(i), float(i % 2)) for i in range(1600)])
    assert len(bins) == BINS
    assert all(b[1:] == (0.5, 0.0, 1.0) for b in bins)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (1500, "1500"), (1e-4, "10⁻⁴"), (2e6, "2·10⁶"), (-1e-9, "-10⁻⁹")],
)
def test_tick_label__short(value, text):
    assert tick_label(value) == text
