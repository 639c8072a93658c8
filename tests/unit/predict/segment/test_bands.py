"""Windows over a segment: what counts of each, sums in any share of the work, seams."""

from __future__ import annotations

import numpy as np
import pytest

from hpctrain.errors import ConfigError
from hpctrain.formats.plane_writer import PlaneSheet, plane_writer
from hpctrain.predict.segment.bands import Bands
from hpctrain.predict.segment.border import border_of, last_measured
from hpctrain.predict.segment.parts import Parts, Rows
from hpctrain.predict.segment.seams import Seams
from hpctrain.predict.segment.windows import AxisWindows
from hpctrain.provenance import Stamp
from tests.memory import peaks


class Surface:
    """A segment of one layer; reads are counted."""

    def __init__(self, shape, mask=None):
        self.shape, self.mask = shape, mask
        self.values = np.random.default_rng(0).random(shape, np.float32)

    def read(self, y, x, size):
        h, w = (min(n, s - o) for n, s, o in zip(size, self.shape, (y, x), strict=True))
        part = self.values[None, y : y + h, x : x + w]
        return np.pad(part, ((0, 0), (0, size[0] - h), (0, size[1] - w)), mode="edge")

    def normalised(self, values):
        return values


def ramped(windows):
    """A net whose answer depends on the place within the window."""
    whole = np.stack(windows)[:, 0]
    return whole + np.linspace(0, 1, whole.shape[2], dtype=np.float32)


def all_bands(segment, rows, columns, numbers=None, predict=ramped, at_once=3):
    bands = Bands(segment, rows, columns, predict, at_once)
    wanted = range(len(rows.starts)) if numbers is None else numbers
    return dict(bands.compute(list(wanted)))


def whole(segment, rows, columns, **more):
    return np.vstack(list(all_bands(segment, rows, columns, **more).values()))


@pytest.mark.parametrize(
    ("size", "window", "stride", "border"), [(50, 16, 7, 0), (50, 16, 6, 4), (16, 16, 3, 2)]
)
def test_windows__cover_every_pixel_and_end_flush(size, window, stride, border):
    axis = AxisWindows(size, window, stride, border)
    total = np.zeros(size)
    for number, start in enumerate(axis.starts):
        total[start : start + window] += axis.weights(number)
    assert axis.starts[-1] + window == size
    assert (total > 0).all()
    assert [axis.band(i) for i in range(len(axis.starts))][-1][1] == size
    inner = [n for n in range(len(axis.starts)) if 0 < n < len(axis.starts) - 1]
    for number in inner:
        weights = axis.weights(number)
        assert not weights[:border].any()
        assert not weights[window - border :].any()
        assert weights[window // 2] > 100 * weights[border]


@pytest.mark.parametrize(
    ("stride", "border", "text"),
    [(13, 2, "--stride: found 13; allowed: 1 to 12"), (1, 8, "--border: 8 pixels at either side")],
)
def test_windows__that_leave_gaps_are_refused(stride, border, text):
    with pytest.raises(ConfigError, match=text):
        AxisWindows(100, 16, stride, border)


def test_bands__of_one_window_are_what_the_net_says():
    for shape in ((16, 24), (9, 20)):  # the second is smaller than the window
        segment = Surface(shape)
        found = whole(segment, AxisWindows(shape[0], 16, 8), AxisWindows(shape[1], 24, 8))
        direct = ramped([segment.read(0, 0, (16, 24))])[0, : shape[0], : shape[1]]
        np.testing.assert_allclose(found, direct, rtol=2e-6)


def test_bands__are_the_weighted_mean_of_all_windows():
    segment = Surface((37, 53))
    rows, columns = AxisWindows(37, 16, 5, 2), AxisWindows(53, 16, 7, 1)
    total, weight = np.zeros(segment.shape), np.zeros(segment.shape)
    for i, y in enumerate(rows.starts):
        for j, x in enumerate(columns.starts):
            own = rows.weights(i)[:, None].astype(float) * columns.weights(j)
            values = ramped([segment.read(y, x, (16, 16))])[0]
            total[y : y + 16, x : x + 16] += own * values
            weight[y : y + 16, x : x + 16] += own
    np.testing.assert_allclose(whole(segment, rows, columns), total / weight, rtol=1e-5)


def test_bands__have_the_same_bits_in_any_share():
    segment = Surface((70, 40))
    segment.mask = np.random.default_rng(1).random(segment.shape) < 0.02
    rows, columns = AxisWindows(70, 16, 5), AxisWindows(40, 16, 5)
    full = all_bands(segment, rows, columns)
    for numbers in ([4], [2, 3, 9], [10, 11]):
        for number, values in all_bands(segment, rows, columns, numbers).items():
            np.testing.assert_array_equal(values, full[number])


def test_bands__off_the_papyrus_are_not_computed():
    mask = np.zeros((48, 80), bool)
    mask[4:10, 60:64] = True
    segment = Surface(mask.shape, mask)
    rows, columns = AxisWindows(48, 16, 8), AxisWindows(80, 16, 8)
    seen = []

    def predict(windows):
        seen.append(len(windows))
        return ramped(windows)

    found = whole(segment, rows, columns, predict=predict)
    np.testing.assert_array_equal(np.isfinite(found), mask)
    everywhere = whole(Surface(mask.shape), rows, columns)
    np.testing.assert_array_equal(found[mask], everywhere[mask])
    # rows of windows at 0 and 8, columns at 48 and 56 of those that begin at multiples of 8
    assert sum(seen) == 4
    assert Bands(segment, rows, columns, predict, 3).windows_of(0) == 2


def write_picture(folder, segment):
    height = segment.shape[0]
    rows, columns = AxisWindows(height, 16, 7), AxisWindows(400, 16, 7)
    parts = Parts(folder / str(height), {"same": {}, "at_once": 3})
    parts.open(may_replace=False)
    sheet = PlaneSheet("ink", segment.shape, {}, Stamp("prediction"))
    for number, values in Bands(segment, rows, columns, ramped, 3).compute(range(len(rows.starts))):
        parts.save(number, values)
    writer = plane_writer(folder / f"{height}.png", sheet)
    bands = [rows.band(number) for number in range(len(rows.starts))]
    for top, values in Rows(parts, bands, 400).blocks(64):
        writer.write(top, values)
    writer.finish()
    writer.close()
    parts.remove()


def test_bands__need_no_more_memory_for_a_longer_segment(tmp_path):
    # the first call pays for imports and caches
    segments = [Surface((height, 400)) for height in (300, 300, 900)]
    _, short, tall = peaks(write_picture, *((tmp_path, segment) for segment in segments))
    assert tall < 1.2 * short
    assert tall < 900 * 400 * 4, "less than the picture itself"


def test_seams__are_steps_at_edges_and_nothing_else():
    y, x = np.indices((90, 120))
    smooth = np.sin(y / 9) * np.cos(x / 7)
    axis = AxisWindows(90, 20, 10), AxisWindows(120, 20, 10)
    stepped = smooth + 0.2 * ((x // 10) % 2)
    stepped[:10, :10] = np.nan

    def ratio(values, height):
        seams = Seams(axis[0].edges, axis[1].edges)
        for top in range(0, 90, height):
            seams.add(top, values[top : top + height].astype(np.float32))
        return seams.ratio

    assert ratio(smooth, 90) == pytest.approx(1, abs=0.05)
    assert ratio(stepped, 90) > 1.2
    assert ratio(stepped, 7) == pytest.approx(ratio(stepped, 90), rel=1e-9)
    assert Seams(frozenset(), frozenset()).ratio is None


def test_border__is_where_errors_are_worse_than_in_the_middle(tmp_path):
    distance = [(n + 0.5) / 16 for n in range(16)]
    even = {"distance": distance, "mse": [1.0] * 16}
    bad = {"distance": distance, "mse": [1.0] * 10 + [1.7] + [1.0] * 2 + [2.0, 3.0, 4.0]}
    worst = {"distance": distance, "mse": [1.0] * 8 + [9.0] * 8}
    assert border_of(even, 32) == 0
    assert border_of(bad, 32) == 3
    assert border_of(worst, 32) == 8, "half of a window is kept"
    assert last_measured(tmp_path) is None
    (tmp_path / "eval").mkdir()
    for page in (
        "[]",
        '{"error_by_distance": null}',
        '{"error_by_distance": {"distance": [0.5], "mse": []}}',
        '{"error_by_distance": {"distance": [0.5], "mse": [null]}}',
    ):
        (tmp_path / "eval" / "summary.json").write_text(page)
        assert last_measured(tmp_path) is None, page


def test_seams__by_the_distance_from_the_nearest_edge():
    values = np.zeros((2, 40), np.float32)
    for column, jump in ((10, 5.0), (11, 1.0), (9, 3.0), (14, 0.5), (20, 100.0)):
        values[:, column:] += jump
    seams = Seams(frozenset(), frozenset({10, 12}))
    seams.add(0, values)
    # edges at 10 and 12; one beside: 9, 11, 13; two: 8, 14; three: 7, 15; four: 6, 16
    assert seams.by_distance == [2.5, pytest.approx(4 / 3), 0.25, 0, 0]
    assert seams.ratio == pytest.approx(2.5 / (4.5 / 9))
