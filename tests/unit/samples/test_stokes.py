import numpy as np
import pytest

from hpctrain.samples.stokes import Box, Stokes

BOX = Box((16, 12, 20), 1e4, (0.75, 1.25))


def cell_centres(box):
    axes = [(np.arange(n) + 0.5) * d for n, d in zip(box.shape, box.spacing, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def conductive(box):
    return 1 - cell_centres(box)[0]


@pytest.mark.parametrize(("m", "ny", "nx"), [(1, 0, 1), (2, 1, 0), (3, 2, 4)])
def test_stokes__single_mode_is_exact(m, ny, nx):
    z, y, x = cell_centres(BOX)
    a, b, c = m * np.pi, ny * np.pi / BOX.width[0], nx * 2 * np.pi / BOX.width[1]
    flow = Stokes(BOX).at_cells(conductive(BOX) + np.sin(a * z) * np.cos(b * y) * np.cos(c * x))
    # lap^2 w = -Ra lap_h T, mode by mode; div u = 0 with u = grad_h phi.
    h2 = b**2 + c**2
    g = BOX.rayleigh / (h2 + a**2) ** 2
    scale = g * h2
    expected_z = scale * np.sin(a * z) * np.cos(b * y) * np.cos(c * x)
    expected_y = -g * a * b * np.cos(a * z) * np.sin(b * y) * np.cos(c * x)
    expected_x = -g * a * c * np.cos(a * z) * np.cos(b * y) * np.sin(c * x)
    np.testing.assert_allclose(flow.z, expected_z, atol=1e-4 * scale)
    np.testing.assert_allclose(flow.y, expected_y, atol=1e-4 * scale)
    np.testing.assert_allclose(flow.x, expected_x, atol=1e-4 * scale)


def test_stokes__hot_rises():
    temperature = conductive(BOX)
    temperature[6:10, 4:8, 8:12] += 0.5
    flow = Stokes(BOX).at_cells(temperature)
    assert flow.z[8, 6, 10] > 0 > flow.z[8, 6, 0]


def test_stokes__nothing_moves_without_lateral_contrast():
    layered = conductive(BOX) + np.sin(np.pi * cell_centres(BOX)[0])
    flow = Stokes(BOX).at_faces(layered)
    assert max(np.abs(v).max() for v in (flow.x, flow.y, flow.z)) < 1e-3


def test_stokes__flow_through_faces_of_each_cell_adds_up_to_nothing():
    temperature = np.random.default_rng(0).random(BOX.shape)
    flow = Stokes(BOX).at_faces(temperature)
    dz, dy, dx = BOX.spacing
    divergence = np.diff(flow.z, axis=0) / dz + np.diff(flow.y, axis=1) / dy
    divergence += (np.roll(flow.x, -1, axis=2) - flow.x) / dx
    assert np.abs(divergence).max() < 1e-5 * np.abs(flow.z).max() / dz


def test_stokes__walls_are_closed():
    flow = Stokes(BOX).at_faces(np.random.default_rng(0).random(BOX.shape))
    largest = np.abs(flow.z).max()
    assert np.abs(flow.z[[0, -1]]).max() < 1e-5 * largest
    assert np.abs(flow.y[:, [0, -1]]).max() < 1e-5 * largest


def test_stokes__faces_and_cells_agree_for_smooth_fields():
    z, y, x = cell_centres(BOX)
    smooth = conductive(BOX) + np.sin(np.pi * z) * np.cos(2 * np.pi * x / BOX.width[1])
    stokes = Stokes(BOX)
    faces, cells = stokes.at_faces(smooth), stokes.at_cells(smooth)
    between = (faces.z[1:] + faces.z[:-1]) / 2
    assert np.abs(between - cells.z).max() < 0.02 * np.abs(cells.z).max()
