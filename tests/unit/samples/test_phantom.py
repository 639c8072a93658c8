import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from hpctrain.samples.papyrus import DENSITY, make_sheet
from hpctrain.samples.phantom import NOISE, OFFSET, SCALE, SLAB, Scanner, flatten
from hpctrain.samples.spiral import roll_up


@pytest.fixture(scope="module")
def scanner():
    shape = (SLAB + 12, 192)
    return Scanner(make_sheet(shape, False, 0), roll_up(*shape, 0), 0)


def test_density__papyrus_and_air(scanner):
    slice_ = scanner.density(20)
    assert (slice_ == 0).mean() > 0.6
    places, normals = scanner.spiral.recto(20)
    inside = map_coordinates(slice_, (places - 6 * normals)[:, 20:-20], order=0)
    assert inside.mean() == pytest.approx(DENSITY, abs=0.03)
    above = map_coordinates(slice_, (places + 8 * normals)[:, 20:-20], order=0)
    assert above.max() == 0


def test_slab__is_the_density_blurred_with_noise(scanner):
    """Also across the border between slabs, where each needs the other's slices."""
    whole = np.concatenate([slab for _, slab in scanner.slabs()])
    assert whole.dtype == np.uint16
    assert len(whole) == SLAB + 12
    density = np.stack([scanner.density(row) for row in range(SLAB + 12)])
    wanted = OFFSET + SCALE * gaussian_filter(density, 0.7, mode="nearest")
    left = (whole - wanted) / SCALE
    for row in (0, SLAB - 1, SLAB, SLAB + 11):
        assert left[row].std() == pytest.approx(NOISE, rel=0.05)
    assert np.corrcoef(left[SLAB - 1].ravel(), (wanted[SLAB] - wanted[SLAB - 1]).ravel())[
        0, 1
    ] == pytest.approx(0, abs=0.02)


def test_slab__rings_are_the_same_in_all_slices(scanner):
    air = np.concatenate([slab[:, :6] for _, slab in scanner.slabs()]).astype(float)
    first, second = air[::2].mean(0), air[1::2].mean(0)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.2


def test_slab__does_not_depend_on_the_order(scanner):
    later = scanner.slab(SLAB)
    assert np.array_equal(later, dict(scanner.slabs())[SLAB])


def test_flatten__by_hand(scanner):
    """Four neighbours of a place, weighted by how near they are."""
    slice_ = scanner.slab(0)[5]
    layers = flatten(scanner.spiral, 5, slice_)
    assert layers.shape == (65, 192)
    places, normals = scanner.spiral.recto(5)
    for layer, column in ((32, 100), (40, 17), (3, 150)):
        y, x = places[:, column] + (layer - 32) * normals[:, column]
        low_y, low_x = int(y), int(x)
        dy, dx = y - low_y, x - low_x
        square = slice_[low_y : low_y + 2, low_x : low_x + 2].astype(float)
        wanted = np.array([1 - dy, dy]) @ square @ np.array([1 - dx, dx])
        assert layers[layer, column] == pytest.approx(wanted, abs=0.51)
