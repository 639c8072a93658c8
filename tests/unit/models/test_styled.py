"""The styled generator against convolutions with weights of their own for each sample."""

import pytest
import torch
import torch.nn.functional as F

from hpctrain.models.noise import SampleNoise, ZeroNoise
from hpctrain.models.styled import ModulatedConv3d, StyledGenerator


def modulated(layer, x, style):
    """Karras et al. 2020, equations 1 to 3, sample by sample."""
    s = style @ layer.style.weight.T + layer.style.bias
    rows = []
    for row, scales in zip(x, s, strict=True):
        w = layer.conv.weight * scales[None, :, None, None, None]
        if layer.is_demodulated:
            w = w / (w.square().sum((1, 2, 3, 4), keepdim=True) + 1e-8).sqrt()
        rows.append(F.conv3d(row[None], w, layer.bias))
    return torch.cat(rows)


def up(x):
    y = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    return y[..., 1:-1, 1:-1, 1:-1]


def randomised(model):
    for p in model.parameters():
        p.data.normal_(0.3, 1.0)
    return model


@pytest.mark.parametrize("is_demodulated", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_modulated__equals_weights_of_each_sample(kernel, is_demodulated):
    torch.manual_seed(0)
    layer = ModulatedConv3d(3, 4, kernel, 2, is_demodulated=is_demodulated).double()
    randomised(layer)
    x, style = torch.randn(3, 3, 5, 6, 7).double(), torch.randn(3, 2).double()
    torch.testing.assert_close(layer(x, style), modulated(layer, x, style), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("noise", ["add", "concatenate", "none"])
def test_generator__equals_the_reference(noise):
    torch.manual_seed(0)
    model = randomised(StyledGenerator(2, 3, 4, 2, 6, 4, 8, noise=noise).double())
    x, style = torch.randn(2, 2, 7, 8, 7).double(), torch.rand(2, 2).double()
    found = model(x, SampleNoise((1, 2)), style=style)

    draws = SampleNoise((1, 2))

    def noisy(layer, x):
        if noise == "add":
            return x + layer.std.view(-1, 1, 1, 1) * draws(x)
        return torch.cat((x, draws(x).double()), 1) if noise == "concatenate" else x

    def act(x):
        return F.leaky_relu(x, 0.2)

    y = F.conv3d(x, model.direct.weight, model.direct.bias)
    h = act(modulated(model.head, x, style))
    for block in model.blocks:
        h = act(modulated(block.conv1, up(noisy(block.noise1, h)), style))
        h = act(modulated(block.conv2, noisy(block.noise2, h), style))
        y = up(y)[..., 2:-2, 2:-2, 2:-2] + modulated(block.project, h, style)
    assert found.shape == (2, 3, 10, 14, 10)
    torch.testing.assert_close(found, y, rtol=1e-10, atol=1e-10)


def test_generator__style_decides_and_learns():
    torch.manual_seed(0)
    model = StyledGenerator(1, 1, 2, 1, 4, 4, 4)
    x = torch.randn(1, 1, 6, 6, 6).expand(2, -1, -1, -1, -1)
    y = model(x, ZeroNoise(), style=torch.tensor([[0.2], [0.9]]))
    assert not torch.allclose(y[0], y[1])
    y.square().mean().backward()
    slopes = [m.style.weight.grad for m in model.modules() if isinstance(m, ModulatedConv3d)]
    assert len(slopes) == 4
    assert all(g.abs().sum() > 0 for g in slopes)


def test_generator__style_zero_is_plain_modulation_by_one():
    """A style of 0 leaves the scales at 1: weights of unit norm and nothing else."""
    model = StyledGenerator(1, 1, 2, 3, 4, 4, 4, noise="none").double()
    x = torch.randn(1, 1, 5, 5, 5).double()
    w = model.head.conv.weight
    expected = F.conv3d(x, w / w.square().sum((1, 2, 3, 4), keepdim=True).sqrt(), model.head.bias)
    found = model.head(x, torch.zeros(1, 3))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
