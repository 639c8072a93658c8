from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis.divergence import divergence


def gradient_scale(velocity, radii):
    """Root mean square of dv/dr: how large a divergence the flow might have."""
    along_r = np.gradient(velocity, radii, axis=1)
    return np.sqrt(np.mean(np.square(along_r).sum(0)))


def grid(rows, columns=48):
    radii = np.linspace(3500.0, 6300.0, 9) ** 1.01
    latitudes = np.linspace(90, -90, rows + 1)[:-1] - 90 / rows
    longitudes = np.arange(columns) * 360 / columns
    phi, lam = np.deg2rad(latitudes)[:, None], np.deg2rad(longitudes)
    unit = (np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0 * lam)
    positions = radii[:, None, None] * np.stack(unit)[:, None]
    return (radii, latitudes, longitudes), positions


@pytest.mark.parametrize("axis", [(0, 0, 1.0), (1.0, 0, 0), (0.3, -0.8, 0.5)])
def test_rigid_rotation__has_no_divergence(axis):
    axes, x = grid(24)
    velocity = np.cross(np.array(axis), x, axisa=0, axisb=0, axisc=0)
    found = divergence(velocity, *axes)
    assert found.shape == (7, 22, 48)
    assert np.abs(found).max() < 1e-11
    assert gradient_scale(velocity, axes[0]) > 0.1


def test_uniform_growth__has_divergence_three():
    errors = []
    for rows, columns in ((24, 48), (48, 96)):
        axes, x = grid(rows, columns)
        errors.append(np.abs(divergence(x, *axes) - 3).max())
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 3.5  # of second order


def test_flow_of_a_stream_function__is_nearly_free_of_divergence():
    axes, (x, y, z) = grid(48, 96)
    # the curl of (y z, x z, 0)
    velocity = np.stack((-x, y, z - z))
    scale = gradient_scale(velocity, axes[0])
    found = divergence(velocity, *axes)
    assert np.sqrt(np.mean(found**2)) < 0.01 * scale


def test_direction_of_the_axes__does_not_matter():
    (radii, latitudes, longitudes), x = grid(24)
    velocity = np.stack((x[0] ** 2, x[1] * x[2], -x[2])) * 1e-4
    straight = divergence(velocity, radii, latitudes, longitudes)
    turned = divergence(velocity[:, :, ::-1, ::-1], radii, latitudes[::-1], longitudes[::-1])
    np.testing.assert_allclose(turned[:, ::-1, ::-1], straight, atol=1e-12)


def test_too_few_shells__are_refused():
    axes, x = grid(24)
    with pytest.raises(ValueError, match="at least"):
        divergence(x[:, :2], axes[0][:2], *axes[1:])
