"""Power spectra in physical units, against fields whose spectrum is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hpctrain.analysis.box_spectrum import box_bins, box_spectra


def waves(size: tuple[int, ...], waves: tuple[int, ...], amplitude: float) -> torch.Tensor:
    """A cosine with so many periods along each axis, (1, 1, *size)."""
    grids = np.meshgrid(*(np.arange(n) / n for n in size), indexing="ij")
    phase = 2 * math.pi * sum(m * g for m, g in zip(waves, grids, strict=True))
    return torch.from_numpy(amplitude * np.cos(phase + 0.3))[None, None]


@pytest.mark.parametrize(
    ("size", "periods"),
    [((1, 16, 16), (0, 3, 0)), ((1, 32, 16), (0, 6, 2)), ((12, 12, 12), (2, 1, 2))],
)
def test_wave__all_power_in_its_bin_with_units(
    size: tuple[int, ...], periods: tuple[int, ...]
) -> None:
    """A cos has the modes +-k with |d_k|^2 = a^2 / 4 each: P = V a^2 / 2 over the bin's modes."""
    cell = 2.5
    field = waves(size, periods, amplitude=1.7)
    bins = box_bins(size, cell)
    power = box_spectra(field, cell)[0, 0]
    dims = [n for n in size if n > 1]
    width = max(dims)
    radius = math.sqrt(sum((m / n) ** 2 for m, n in zip(periods, size, strict=True))) * width
    b = round(radius) - 1
    volume = math.prod(dims) * cell ** len(dims)
    expected = volume * 1.7**2 / 2 / bins.modes[b]
    assert power[b] == pytest.approx(float(expected), rel=1e-12)
    rest = torch.cat((power[:b], power[b + 1 :]))
    assert float(rest.abs().max()) < 1e-12 * float(expected)
    assert abs(float(bins.k[b]) - 2 * math.pi * radius / (width * cell)) < math.pi / (width * cell)


def test_bins__equal_a_count_by_hand() -> None:
    size, cell = (6, 4, 8), 0.5
    counts, sums = [0] * 2, [0.0] * 2
    for i, j, m in itertools.product(range(-3, 3), range(-2, 2), range(-4, 4)):
        radius = 8 * math.sqrt((i / 6) ** 2 + (j / 4) ** 2 + (m / 8) ** 2)
        b = math.floor(radius + 0.5) - 1
        if 0 <= b < 2:
            counts[b] += 1
            sums[b] += radius
    bins = box_bins(size, cell)
    assert len(bins.k) == 4  # the smallest Nyquist number is that of all axes: half a cell
    assert bins.modes[:2].tolist() == counts
    found = bins.k[:2] * 8 * cell / (2 * math.pi)
    assert found.tolist() == pytest.approx([s / n for s, n in zip(sums, counts, strict=True)])


def test_white_noise__is_flat_at_variance_times_volume_of_a_cell() -> None:
    torch.manual_seed(0)
    fields = 3.0 * torch.randn(1000, 1, 1, 32, 32, dtype=torch.float64)
    for is_periodic in (True, False):
        power = box_spectra(fields, 0.5, is_periodic=is_periodic).mean((0, 1))
        assert power[2:].tolist() == pytest.approx([9 * 0.25] * 14, rel=0.04)


def test_spectrum__scales_with_the_cell_and_the_square_of_the_field() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 8, 8, 8, dtype=torch.float64)
    assert torch.allclose(box_spectra(3 * x, 2.0), 9 * 8 * box_spectra(x, 1.0))
    plane = x[:, :, :1]
    assert torch.allclose(box_spectra(3 * plane, 2.0), 9 * 4 * box_spectra(plane, 1.0))
    assert torch.allclose(box_bins((8, 8), 2.0).k * 2, box_bins((8, 8), 1.0).k)


def test_spectrum__does_not_move_with_a_periodic_shift_but_a_crop_has_edges() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    assert torch.allclose(box_spectra(x), box_spectra(x.roll((3, 5), (2, 3))))
    slope = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    sharp, tapered = (box_spectra(slope, is_periodic=p)[0, 0] for p in (True, False))
    assert float(tapered[8:].mean()) < 1e-4 * float(sharp[8:].mean())


def test_spectrum__can_be_differentiated() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: box_spectra(y, 0.7), (x,))
    assert torch.autograd.gradcheck(lambda y: box_spectra(y, 0.7, is_periodic=False), (x,))


def test_bins__no_axis_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no spectrum; give an axis"):
        box_bins((1, 1, 1))
