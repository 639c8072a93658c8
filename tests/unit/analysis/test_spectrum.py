"""Power spectra against fields whose spectrum is known."""

import math

import pytest
import torch

from hpctrain.analysis.spectrum import (
    SpectrumSum,
    log_spectrum_error,
    log_spectrum_errors,
    power_spectrum,
)


def wave(size, cycles, amplitude=1.0):
    """Cosine with so many cycles along each axis, (1, 1, D, H, W) float64."""
    axes = [torch.arange(n, dtype=torch.float64) * c / n for n, c in zip(size, cycles, strict=True)]
    phase = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    return amplitude * torch.cos(2 * math.pi * phase)[None, None]


def power_law(size, slope, seed=0):
    """Random field of mean power k**slope per mode, (4, 1, n, n, n) float64."""
    torch.manual_seed(seed)
    noise = torch.randn(4, 1, size, size, size).double()
    full, half = torch.fft.fftfreq(size), torch.fft.rfftfreq(size)
    k = (full[:, None, None] ** 2 + full[:, None] ** 2 + half**2).sqrt() * size
    k[0, 0, 0] = 1.0
    return torch.fft.irfftn(torch.fft.rfftn(noise, dim=(2, 3, 4)) * k ** (slope / 2), s=(size,) * 3)


@pytest.mark.parametrize("window", ["hann", None])
def test_power_spectrum__white_noise_is_flat_at_its_variance(window):
    x = 3.0 * torch.randn(32, 2, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    k, power = power_spectrum(x, window)
    assert k.tolist() == list(range(1, 9))
    # A bin averages modes / 2 exponential variates a sample; Hann ties 1.94 cells an axis together.
    independent = len(x) * SpectrumSum(2, (16, 16, 16)).modes / 2 / (1.94**3 if window else 1)
    assert ((power * 16**3 / 9.0 - 1).abs() < 5 / independent.sqrt()).all()
    assert power.mean() * 16**3 == pytest.approx(9.0, rel=0.05)


@pytest.mark.parametrize("cycles", [(3, 0, 0), (0, 5, 0), (0, 0, 4), (0, 0, 8), (2, 3, 6)])
def test_power_spectrum__single_mode_lands_in_its_bin(cycles):
    k, power = power_spectrum(wave((16, 16, 16), cycles), None)
    expected = round(math.sqrt(sum(c * c for c in cycles)))
    assert k[power[0].argmax()] == expected
    assert power[0].sum() == pytest.approx(float(power[0].max()))


def test_power_spectrum__hann_keeps_a_mode_within_its_neighbours():
    k, power = power_spectrum(wave((32, 32, 32), (0, 0, 8)), "hann")
    share = power[0] * SpectrumSum(1, (32, 32, 32)).modes
    assert k[power[0].argmax()] == 8
    assert share[6:9].sum() / share.sum() > 0.999


@pytest.mark.parametrize("size", [(16, 16, 16), (8, 12, 16), (15, 9, 12), (1, 16, 24)])
def test_power_spectrum__parseval_without_window(size):
    # Only modes inside every axis's Nyquist number, so that no power lies beyond the last bin.
    x = wave(size, (0, 1, 2), 2.0) + wave(size, (0, 0, 3)) + wave(size, (0, 2, 0), 0.5) + 7.0
    _, power = power_spectrum(x, None)
    modes = SpectrumSum(1, size).modes
    assert (power[0] * modes).sum() == pytest.approx(float(x.var(correction=0)), rel=1e-10)


def test_power_spectrum__non_cubic_crop_is_isotropic_in_cells():
    size = (8, 16, 32)
    k, along_short = power_spectrum(wave(size, (2, 0, 0)), None)
    k, along_long = power_spectrum(wave(size, (0, 0, 8)), None)
    assert k[along_short[0].argmax()] == k[along_long[0].argmax()] == 8
    torch.testing.assert_close(along_short, along_long)


def test_power_spectrum__cut_at_smallest_nyquist():
    assert len(power_spectrum(torch.randn(1, 1, 5, 64, 64))[0]) == 64 * 2 // 5


@pytest.mark.parametrize("slope", [-3.0, -5.0 / 3.0])
def test_power_spectrum__power_law_slope_recovered(slope):
    k, power = power_spectrum(power_law(32, slope), None)
    x, y = k[2:].log10(), power[0, 2:].log10()
    fitted = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert float(fitted) == pytest.approx(slope, abs=0.1)


def test_power_spectrum__window_removes_edge_leakage():
    # A ramp is all large scale; its jump at the edge alone gives small-scale power.
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32, 32)
    plain, tapered = power_spectrum(ramp, None)[1], power_spectrum(ramp, "hann")[1]
    assert tapered[0, 10:].sum() < 1e-3 * plain[0, 10:].sum()


def test_power_spectrum__large_mean_does_not_leak():
    x = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    torch.testing.assert_close(power_spectrum(x + 1e4)[1], power_spectrum(x)[1], rtol=1e-6, atol=0)


def test_power_spectrum__half_precision_input():
    x = torch.randn(2, 3, 8, 8, 8).bfloat16()
    torch.testing.assert_close(power_spectrum(x)[1], power_spectrum(x.float())[1])


def test_power_spectrum__unknown_window():
    with pytest.raises(ValueError, match="'hann' or None"):
        power_spectrum(torch.zeros(1, 1, 4, 4, 4), "kaiser")


def test_spectrum_sum__parts_of_ranks_equal_the_whole():
    x = torch.randn(6, 2, 8, 8, 8, generator=torch.Generator().manual_seed(3))
    ranks = [SpectrumSum(2, (8, 8, 8)) for _ in range(3)]
    ranks[0].add(x[:1])
    ranks[0].add(x[1:4])
    ranks[1].add(x[4:])
    for other in ranks[1:]:
        for mine, theirs in zip(ranks[0].tensors(), other.tensors(), strict=True):
            mine += theirs
    torch.testing.assert_close(ranks[0].power(), power_spectrum(x)[1])


def test_spectrum_sum__empty_has_no_power():
    with pytest.raises(ValueError, match="no field"):
        SpectrumSum(1, (8, 8, 8)).power()


def test_spectrum_sum__wrong_shape():
    with pytest.raises(ValueError, match="do not fit"):
        SpectrumSum(1, (8, 8, 8)).add(torch.zeros(1, 2, 8, 8, 8))


def test_log_spectrum_error__factor_of_ten_is_one():
    q = torch.tensor([[4.0, 2.0, 1.0], [1.0, 3.0, 9.0]])
    assert log_spectrum_error(q, q) == 0.0
    assert log_spectrum_error(10 * q, q) == pytest.approx(1.0)
    assert log_spectrum_error(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 1.0])) == pytest.approx(
        math.sqrt(0.5)
    )


def test_log_spectrum_error__missing_power_is_large_but_finite():
    assert math.isnan(log_spectrum_error(torch.zeros(2, 4), torch.zeros(2, 4)))
    assert log_spectrum_error(torch.zeros(4), torch.ones(4)) == pytest.approx(12.0)


def test_log_spectrum_error__truth_without_power_is_no_yardstick():
    """Rounding noise on a constant channel is not twelve decades of error."""
    q = torch.tensor([[0.0, 0.0, 0.0], [100.0, 10.0, 1.0]])
    p = torch.tensor([[1e-15, 1e-15, 1e-15], [100.0, 10.0, 0.1]])
    assert log_spectrum_errors(p, q).tolist() == pytest.approx([math.nan, 3**-0.5], nan_ok=True)
    assert log_spectrum_error(p, q) == pytest.approx(3**-0.5)


def test_log_spectrum_error__of_no_number_is_none():
    assert math.isnan(log_spectrum_error(torch.full((3,), math.nan), torch.ones(3)))


def test_log_spectrum_error__floor_is_a_share_of_the_truths_power():
    """However wrong the largest scales are, it does not hide power that is missing elsewhere."""
    q = torch.tensor([1.0, 1e-4])
    assert log_spectrum_error(torch.tensor([1e10, 0.0]), q) == pytest.approx(
        math.sqrt((10**2 + 8**2) / 2)
    )


def test_log_spectrum_error__shapes_differ():
    with pytest.raises(ValueError, match="differ"):
        log_spectrum_error(torch.ones(2, 3), torch.ones(3))
