import pytest
import torch
import torch.nn.functional as F

from hpctrain.errors import ConfigError
from hpctrain.models.resample import (
    UpsampleConv3d,
    crop_to,
    downsample2,
    num_halvings,
    required_halo,
    upsample2,
    upsample_tricubic,
    upsample_trilinear,
)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def ramp(*size):
    """Linear in every axis with different slopes, (1, 1, D, H, W)."""
    axes = [torch.arange(n, dtype=torch.float32) for n in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return (z + 10 * y + 100 * x)[None, None]


def test_upsample2__equals_torch_without_edges():
    x = torch.randn(2, 3, 5, 6, 7)
    expected = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    torch.testing.assert_close(upsample2(x), expected[..., 1:-1, 1:-1, 1:-1])


@pytest.mark.parametrize("size", [(4, 6, 8), (5, 7, 9)])
def test_downsample2__means_of_pairs(size):
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(downsample2(x), F.avg_pool3d(x, 2))


def test_downsample2__deterministic_mode_gives_the_same(deterministic):
    x = torch.randn(2, 3, 5, 7, 8)
    torch.testing.assert_close(downsample2(x), F.avg_pool3d(x, 2))


def test_downsample2__keeps_bfloat16_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert downsample2(torch.randn(1, 2, 4, 4, 4).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_upsample_conv__equals_upsampling_then_convolution(memory_format):
    layer = UpsampleConv3d(3, 5)
    x = torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=memory_format).requires_grad_()
    y = layer(x)
    expected = F.conv3d(upsample2(x), layer.weight, layer.bias)
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=memory_format)
    inputs = (x, layer.weight, layer.bias)
    weights = torch.randn_like(y)
    ours = torch.autograd.grad((y * weights).sum(), inputs)
    theirs = torch.autograd.grad((expected * weights).sum(), inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_upsample_conv__state_is_that_of_a_convolution():
    layer = UpsampleConv3d(3, 5)
    torch.nn.Conv3d(3, 5, 3).load_state_dict(layer.state_dict())


@pytest.mark.parametrize(("factor", "halo"), [(2, 2), (4, 3), (8, 3), (16, 3)])
def test_required_halo__is_enough_and_least(factor, halo):
    def output_size(n):
        for _ in range(num_halvings(factor)):
            n = 2 * n - 6
        return n

    assert required_halo(factor) == halo
    assert output_size(5 + 2 * halo) >= 5 * factor
    assert output_size(5 + 2 * (halo - 1)) < 5 * factor
    assert (output_size(5 + 2 * halo) - 5 * factor) % 2 == 0


@pytest.mark.parametrize("factor", [0, 1, 3, 6])
def test_num_halvings__refuses_other_factors(factor):
    with pytest.raises(ConfigError, match=f"{factor} is not a power of two"):
        num_halvings(factor)


def test_crop_to__cuts_the_centre():
    cut = crop_to(ramp(6, 8, 10), (4, 4, 10))
    torch.testing.assert_close(cut, ramp(6, 8, 10)[..., 1:5, 2:6, :])


@pytest.mark.parametrize("size", [(7, 6, 6), (5, 6, 6)])
def test_crop_to__refuses_what_has_no_centre(size):
    with pytest.raises(ConfigError, match="even number"):
        crop_to(ramp(6, 6, 6), size)


@pytest.mark.parametrize("halo", [1, 2, 3])
@pytest.mark.parametrize("factor", [2, 3, 8])
def test_upsample_trilinear__ramp_stays_a_ramp(factor, halo):
    y = upsample_trilinear(ramp(3 + 2 * halo, 4 + 2 * halo, 5 + 2 * halo), factor, halo)
    # Output cell i is centred at (i + 1/2) / factor - 1/2 in input cells.
    z, h, w = ((torch.arange(n * factor) + 0.5) / factor - 0.5 + halo for n in (3, 4, 5))
    expected = z[:, None, None] + 10 * h[:, None] + 100 * w
    torch.testing.assert_close(y[0, 0], expected)


def test_upsample_trilinear__without_halo_is_plain():
    x = torch.randn(1, 2, 3, 4, 5)
    expected = F.interpolate(x, scale_factor=4.0, mode="trilinear", align_corners=False)
    torch.testing.assert_close(upsample_trilinear(x, 4, 0), expected)


@pytest.mark.parametrize(("factor", "halo"), [(2, 2), (4, 2), (4, 3), (8, (2, 3, 4))])
def test_upsample_tricubic__is_exact_for_parabolas(factor, halo):
    halos = (halo,) * 3 if isinstance(halo, int) else halo
    cells = (3, 4, 5)
    fine = [
        (torch.arange(n * factor, dtype=torch.float64) + 0.5) / factor - 0.5 + h
        for n, h in zip(cells, halos, strict=True)
    ]
    coarse = [
        torch.arange(n + 2 * h, dtype=torch.float64) for n, h in zip(cells, halos, strict=True)
    ]

    def parabola(axes):
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        return (z**2 - 3 * y**2 + x**2 + x * y * z)[None, None]

    y = upsample_tricubic(parabola(coarse), factor, halo)
    torch.testing.assert_close(y, parabola(fine))


def test_upsample_tricubic__repeats_the_edge_without_halo():
    x = torch.randn(2, 3, 4, 5, 6)
    y = upsample_tricubic(x, 4, 0)
    padded = F.pad(x, [2] * 6, mode="replicate")
    torch.testing.assert_close(y, upsample_tricubic(padded, 4, 2))
    assert y.shape == (2, 3, 16, 20, 24)
    torch.testing.assert_close(upsample_tricubic(x, 1, 1), x[..., 1:-1, 1:-1, 1:-1])
