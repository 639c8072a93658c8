"""What the scale of a volume is measured from, and in how much memory."""

import numpy as np
import pytest

from hpctrain.data.scroll.scales import measure
from hpctrain.errors import DataError
from tests.memory import peaks
from tests.unit.data.scroll.builders import scroll

SHAPE = (64, 8, 16, 32)


def windows(dtype=np.uint16):
    rng = np.random.default_rng(0)
    levels = 9000 + 500 * np.arange(64).reshape(64, 1, 1, 1)
    return (levels + rng.normal(0, 300, SHAPE)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_measure__mean_and_deviation_of_all_windows(tmp_path, dtype):
    values = windows(dtype)
    scale = measure(scroll(tmp_path, normalization="standard"), "v", lambda: iter(values))
    assert scale.offset == pytest.approx(values.mean(dtype=np.float64), rel=1e-12)
    assert scale.factor == pytest.approx(values.std(dtype=np.float64), rel=1e-12)


def measure_copies(folder, values):
    measure(
        scroll(folder, normalization="standard"), "v", lambda: (window.copy() for window in values)
    )


def test_measure__one_window_in_memory_at_a_time(tmp_path):
    values = windows()
    _, peak = peaks(measure_copies, (tmp_path, values[:1]), (tmp_path, values))
    assert peak < values.nbytes / 2


def test_measure__percentiles_of_all_windows(tmp_path):
    values = windows()
    scale = measure(scroll(tmp_path, normalization="percentiles"), "v", lambda: iter(values))
    assert (scale.low, scale.high) == tuple(np.percentile(values, (0.5, 99.5)))


@pytest.mark.parametrize(("fill", "told"), [(7, "have one grey value, 7"), (np.nan, "no numbers")])
def test_measure__windows_without_a_scale(tmp_path, fill, told):
    values = np.full(SHAPE, fill, np.float32)
    with pytest.raises(DataError, match=f"v: .* {told}"):
        measure(scroll(tmp_path, normalization="standard"), "v", lambda: iter(values))
