"""Encoders and decoders against the same networks written down from the papers' figures."""

import pytest
import torch
import torch.nn.functional as F

from hpctrain.errors import ConfigError
from hpctrain.models.unet import UNet, VNet

CONV = {2: F.conv2d, 3: F.conv3d}
UP = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


def lrelu(x):
    return F.leaky_relu(x, 0.01)


class Reference:
    """One walk through a network's parameters in the order in which a forward pass needs them."""

    def __init__(self, model, dims, is_padded):
        self.model, self.dims = model, dims
        self.pad = 1 if is_padded else 0

    def conv(self, x, layer, stride=1):
        pad = self.pad if layer.weight.shape[-1] == 3 else 0
        return CONV[self.dims](x, layer.weight, layer.bias, stride, pad)

    def norm(self, x, layer):
        if not hasattr(layer, "running_mean"):
            return x
        axes = (0, *range(2, x.ndim))
        shape = (1, -1, *(1,) * self.dims)
        if layer.running_mean is None:  # instance norm
            axes = tuple(range(2, x.ndim))
            mean, var = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
            return (x - mean) / (var + 1e-5).sqrt()
        mean, var = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
        x = (x - mean) / (var + 1e-5).sqrt()
        return x * layer.weight.view(shape) + layer.bias.view(shape)

    def centre(self, x, like):
        for axis in range(2, x.ndim):
            cut = (x.shape[axis] - like.shape[axis]) // 2
            x = x.narrow(axis, cut, like.shape[axis])
        return x


def plain(r, block, x, is_first, is_last):
    c = list(block.convs)
    x = r.conv(x, c[0])
    x = lrelu(x if is_first or is_last else r.norm(x, c[1]))
    second = c[2] if is_first or is_last else c[3]
    x = r.conv(x, second)
    return x if is_last else lrelu(r.norm(x, c[-2]))


def residual(r, block, x, is_first, is_last):
    c = list(block.convs)
    y = r.conv(x, c[0])
    y = lrelu(y if is_first or is_last else r.norm(y, c[1]))
    y = r.conv(y, c[2] if is_first or is_last else c[3])
    if not is_last:
        y = r.norm(y, c[-1])
    y = y + r.centre(r.conv(x, block.skip), y)
    return y if is_last else lrelu(y)


def dense(r, block, x, is_first, is_last):
    for layer in block.layers:
        y = r.conv(x, layer[0])
        y = lrelu(y if is_first or is_last else r.norm(y, layer[1]))
        x = torch.cat((r.centre(x, y), y), 1)
    x = r.conv(x, block.join[0])
    return x if is_last else lrelu(r.norm(x, block.join[1]))


def reference(model, x, block, dims, is_padded=False):
    r = Reference(model, dims, is_padded)
    whole, skips = x, []
    for i in range(model.levels):
        x = block(r, model.encoder[i], x, i == 0, False)
        skips.append(x)
        x = lrelu(r.norm(r.conv(x, model.down[i][0], 2), model.down[i][1]))
    x = block(r, model.centre, x, False, False)
    for i in reversed(range(model.levels)):
        up = model.up[i]
        x = lrelu(r.norm(UP[dims](x, up[0].weight, up[0].bias, 2), up[1]))
        x = torch.cat((r.centre(skips.pop(), x), x), 1)
        x = block(r, model.decoder[i], x, False, i == 0)
    return x + r.centre(whole, x) if model.bypass else x


BLOCKS = {"plain": plain, "residual": residual, "dense": dense}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize(("dims", "padding", "size"), [(2, False, 44), (3, True, 12)])
def test_unet__equals_the_reference(block, norm, dims, padding, size):
    torch.manual_seed(0)
    model = UNet(2, 2, 4, dims=dims, padding=padding, norm=norm, block=block).double()
    x = torch.randn(2, 2, *(size,) * dims, dtype=torch.float64)
    torch.testing.assert_close(
        model(x), reference(model, x, BLOCKS[block], dims, padding), rtol=1e-10, atol=1e-10
    )


def test_unet__valid_in_3d_equals_the_reference():
    torch.manual_seed(0)
    model = VNet(1, 3, 2, levels=1).double()
    x = torch.randn(1, 1, 18, 22, 20, dtype=torch.float64)
    y = model(x)
    assert y.shape == (1, 3, 2, 6, 4)
    torch.testing.assert_close(y, reference(model, x, residual, 3), rtol=1e-10, atol=1e-10)


def test_unet__bypass_is_the_input_where_the_rest_is_zero():
    model = UNet(2, 2, 4, levels=1)
    for p in model.decoder[0].convs[-1].parameters():
        p.data.zero_()
    x = torch.randn(1, 2, 20, 20, 20)
    assert torch.equal(model(x), x[..., 8:-8, 8:-8, 8:-8])
    assert not UNet(2, 3, 4).bypass
    with pytest.raises(ConfigError, match="adds 2 input channels to 3"):
        UNet(2, 3, 4, bypass=True)


def test_unet__published_number_of_parameters():
    """map2map's UNet of three channels: convolutions by hand, 64 wide."""
    conv = 27 * 64 * 64 + 64
    strided = 8 * 64 * 64 + 64
    wide = 27 * 128 * 128 + 128
    first = 27 * 3 * 64 + 64 + conv + 128
    inner = 2 * (conv + 128)
    scale = 4 * (strided + 128)
    right1 = wide + 256 + 27 * 128 * 64 + 64 + 128
    right0 = wide + 27 * 128 * 3 + 3
    with torch.device("meta"):
        model = UNet(3, 3)
    found = sum(p.numel() for p in model.parameters())
    assert found == first + 2 * inner + scale + right1 + right0


def test_unet__biases_that_a_norm_takes_away_do_not_train():
    torch.manual_seed(0)
    model = UNet(1, 1, 2, levels=1, block="dense").double()
    frozen = {n: p for n, p in model.named_parameters() if not p.requires_grad}
    assert len(frozen) == 6
    x = torch.randn(1, 1, 18, 18, 18, dtype=torch.float64)
    before = model(x)
    for p in frozen.values():
        p.data += 1
    torch.testing.assert_close(model(x), before)
    assert all(p.requires_grad for p in UNet(1, 1, 2, norm="none").parameters())


def test_unet__odd_level_is_refused_with_the_input_size():
    with pytest.raises(
        ConfigError, match=r"input of \(21, 21\) cells leaves a level of \(17, 17\)"
    ):
        UNet(1, 1, 2, dims=2)(torch.zeros(1, 1, 21, 21))


def test_unet__wrong_dims_and_norm():
    with pytest.raises(ConfigError, match="dims: found 4; allowed: 2 or 3"):
        UNet(1, 1, dims=4)
    with pytest.raises(ConfigError, match="norm: 'layer' is unknown; choose from batch"):
        UNet(1, 1, norm="layer")
