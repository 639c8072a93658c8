import pytest
import torch
import torch.nn.functional as F

from hpctrain.models.patch import PatchDiscriminator


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("norm", ["none", "instance"])
def test_patch__equals_the_reference(strided, norm):
    torch.manual_seed(0)
    model = PatchDiscriminator(2, 4, layers=2, norm=norm, strided=strided).double()
    x = torch.randn(2, 2, 14, 15, 16, dtype=torch.float64)
    y = x
    for i, block in enumerate(model.blocks):
        y = F.conv3d(y, block[0].weight, block[0].bias)
        if i and norm == "instance":
            axes = (2, 3, 4)
            y = y - y.mean(axes, keepdim=True)
            y = y / (y.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        y = F.leaky_relu(y, 0.01)
        if strided:
            y = F.leaky_relu(F.conv3d(y, block[-2].weight, block[-2].bias, 2), 0.01)
    y = F.conv3d(y, model.score.weight, model.score.bias)
    torch.testing.assert_close(model(x), y, rtol=1e-10, atol=1e-10)


def test_patch__of_map2map_has_its_widths():
    model = PatchDiscriminator(3)
    assert [block[0].out_channels for block in model.blocks] == [32, 64, 128]
    assert model(torch.zeros(1, 3, 7, 8, 9)).shape == (1, 1, 1, 2, 3)
    assert model.output_bias is model.score.bias
