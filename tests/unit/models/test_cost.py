"""Counts on the meta device against counts by hand, and against what real tensors take."""

import pytest
import torch
from torch import nn

from hpctrain.models.cost import cost
from hpctrain.models.patch import PatchDiscriminator
from hpctrain.models.srsgan import SrGenerator
from hpctrain.models.unet import UNet


def plain(network, x):
    return network(x)


def test_cost__of_one_convolution_by_hand():
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv3d(2, 5, 3), nn.ReLU())
    found = cost(network, (2, 6, 7, 8), plain)
    cells, weights = 4 * 5 * 6, 2 * 5 * 27
    assert found.parameters == weights + 5
    assert found.forward_flop == 2 * weights * cells
    # the slope of the weights; the input's is not asked for
    assert found.training_flop == 2 * found.forward_flop
    assert found.output == (5, 4, 5, 6)
    assert found.kept_bytes == 4 * (2 * 6 * 7 * 8 + 5 * cells)
    assert found.state_bytes == 16 * found.parameters


def test_cost__what_does_not_train_has_no_state():
    with torch.device("meta"):
        network = nn.Conv3d(1, 1, 1)
    network.bias.requires_grad_(False)
    assert cost(network, (1, 2, 2, 2), plain).state_bytes == 16 + 4


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: UNet(1, 1, 4, levels=1), (1, 18, 18, 18)),
        (lambda: SrGenerator(1, 1, 2, 4, 4, 4), (1, 8, 8, 8)),
        (lambda: PatchDiscriminator(2, 4), (2, 9, 9, 9)),
    ],
)
def test_cost__memory_is_what_autograd_keeps_of_real_tensors(make, shape):
    with torch.device("meta"):
        found = cost(make(), shape, plain)
    network, kept = make(), {}
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}

    def keep(x):
        if x.untyped_storage().data_ptr() not in own:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        network(torch.rand(1, *shape))
    assert found.kept_bytes == pytest.approx(sum(s.nbytes() for s in kept.values()), rel=0.02)
