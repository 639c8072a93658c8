"""The algebra of sizes against what autograd says of the networks themselves."""

import pytest
import torch
from torch import nn

from hpctrain.errors import ConfigError
from hpctrain.models.extent import Extent, through
from hpctrain.models.patch import PatchDiscriminator
from hpctrain.models.resample import required_halo
from hpctrain.models.sizes import find_halo, size_of, sizes
from hpctrain.models.srsgan import SrDiscriminator, SrGenerator
from hpctrain.models.styled import StyledGenerator
from hpctrain.models.unet import UNet, VNet

NARROW = {"channels_base": 2, "channels_min": 2, "channels_max": 2}


class Line(nn.Module):
    """A styled generator as a function of the field alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x, style=torch.ones(len(x), 1, dtype=x.dtype))


MODELS = {
    "srsgan": (lambda: SrGenerator(1, 1, 4, **NARROW), (7, 9, 12)),
    "critic": (lambda: SrDiscriminator(1, 4, **NARROW), (16, 19, 22)),
    "styled": (lambda: StyledGenerator(1, 1, 4, 1, **NARROW), (7, 10)),
    "unet": (lambda: UNet(1, 1, 2, levels=1, norm="none"), (18, 22)),
    "unet, padded": (lambda: UNet(1, 1, 2, levels=1, norm="none", padding=True), (8, 14)),
    "unet, two levels, 2D": (lambda: UNet(1, 2, 2, dims=2, norm="none"), (44, 64)),
    "unet, batch norm, padded, 2D": (lambda: UNet(1, 1, 2, dims=2, padding=True), (12, 64)),
    "unet, instance norm": (lambda: UNet(1, 1, 2, levels=1, norm="instance"), (20,)),
    "vnet": (lambda: VNet(1, 1, 2, levels=1, norm="none"), (18,)),
    "vnet, 2D": (lambda: VNet(1, 1, 2, dims=2, norm="none"), (48,)),
    "dense": (lambda: UNet(1, 1, 2, levels=1, block="dense", norm="none"), (18,)),
    "patch": (lambda: PatchDiscriminator(1, 2), (9, 12)),
    "patch, strided, 2D": (lambda: PatchDiscriminator(1, 2, dims=2, strided=True), (22, 41)),
    "layers": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1, 2), nn.AvgPool2d(2), nn.PReLU()),
        (16, 17),
    ),
}


def seen(model, size, dims):
    """First and last input cell along the last axis whose change moves each output cell."""
    x = torch.rand(1, 1, *(size,) * dims, dtype=torch.float64, requires_grad=True)
    y = model(x).sum(tuple(range(dims + 1)))  # over all but the last axis
    found = []
    for cell in y:
        (slope,) = torch.autograd.grad(cell, x, retain_graph=True)
        cells = slope.abs().sum(tuple(range(dims + 1))).nonzero()[:, 0]
        found.append((int(cells.min()), int(cells.max())))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_extent__is_what_autograd_finds(name):
    torch.manual_seed(0)
    make, given = MODELS[name]
    model = make().double().eval()
    for p in model.parameters():
        p.data.uniform_(0.1, 1.0)  # no weight is zero, no activation flat, nothing cancels
    dims = next(p for p in model.parameters() if p.ndim > 3).ndim - 2
    called = Line(model) if isinstance(model, StyledGenerator) else model
    for size in given:
        extent = through(model, Extent.of(size))
        assert list(zip(extent.first.tolist(), extent.last.tolist(), strict=True)) == seen(
            called, size, dims
        )


def test_extent__exact_cells_do_not_see_the_border():
    """A larger field, the same cells in its middle: only cells that saw a border may change."""
    torch.manual_seed(0)
    model = MODELS["unet, padded"][0]().double().eval()
    size, more = 32, 8
    large = torch.rand(1, 1, *(size + 2 * more,) * 3, dtype=torch.float64)
    with torch.no_grad():
        whole, part = model(large), model(large[(..., *(slice(more, -more),) * 3)])
    exact = through(model, Extent.of(size)).is_exact
    there = whole[(..., *(slice(more, -more),) * 3)]
    is_same = ((part - there).abs() < 1e-12)[0, 0, size // 2, size // 2]
    assert is_same[exact].all()
    assert not is_same.all()


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("layers", "unet, instance norm")])
def test_extent__refuses_the_sizes_that_forward_refuses(name):
    make, _ = MODELS[name]
    model = make().to("meta").eval()
    called = Line(model) if isinstance(model, StyledGenerator) else model
    dims = next(p for p in model.parameters() if p.ndim > 3).ndim - 2
    wanted = size_of(model)
    for size in range(1, 49):
        shape = (1, 1, *(size,) * dims)
        try:
            found = wanted(size)
        except ConfigError:
            with pytest.raises((ConfigError, RuntimeError)):
                called(torch.empty(shape, device="meta"))
        else:
            if name == "styled":
                continue  # its style is no meta tensor
            assert called(torch.empty(shape, device="meta")).shape[-1] == found


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_halo__of_the_upsampler_is_the_closed_form(factor):
    model = SrGenerator(1, 1, factor, **NARROW).to("meta")
    for crop in (1, 4, 7):
        assert find_halo(size_of(model), crop, factor) == required_halo(factor)


def test_halo__of_the_unet_makes_the_output_cover_the_target():
    with torch.device("meta"):
        model = UNet(1, 1, 2)
    assert find_halo(size_of(model), 16, 1) == 20  # map2map's 20 a side
    for crop in (1, 5, 18, 30):
        halo = find_halo(size_of(model), crop, 1) if crop % 2 == 0 else None
        if halo is not None:
            assert size_of(model)(crop + 2 * halo) >= crop


def test_halo__says_which_crops_fit():
    with torch.device("meta"):
        model = UNet(1, 1, 2)
    with pytest.raises(ConfigError, match="nearest crops that fit: 16 or 18"):
        find_halo(size_of(model), 17, 1)


def test_size_of__of_the_users_own_network_is_tried_out():
    model = nn.Sequential(nn.Conv3d(2, 3, 5), nn.Conv3d(3, 1, 3))
    assert size_of(model, 3, 2)(20) == 14
    with pytest.raises(ConfigError, match="no output for 4 cells"):
        size_of(model, 3, 2)(4)


@pytest.mark.parametrize(
    ("model", "rule", "field", "edge"),
    [
        (lambda: UNet(1, 1, 2), "n -> n - 40, n = 4k", 44, 0),
        (lambda: VNet(1, 1, 2), "n -> n - 40, n = 4k", 44, 0),
        (lambda: UNet(1, 1, 2, padding=True), "n -> n, n = 4k", 44, 22),
        (lambda: UNet(1, 1, 2, norm="instance"), "n -> n - 40, n = 4k", 0, 0),
        (lambda: SrGenerator(1, 1, 8, **NARROW), "n -> 8n - 42", 7, 0),
        (lambda: PatchDiscriminator(1, 2), "n -> n - 6", 7, 0),
        (lambda: SrDiscriminator(1, 8, **NARROW), "n -> n/8 - 7/2, n = 8k + 4", 36, 0),
    ],
)
def test_sizes__rule_receptive_field_and_padded_edge(model, rule, field, edge):
    with torch.device("meta"):
        found = sizes(model())
    assert found.rule == rule
    assert (found.receptive_field, found.padded_edge) == (field, edge)


def test_extent__of_an_unknown_layer_is_refused():
    with pytest.raises(ConfigError, match="Bilinear: its extent is not known; give the network"):
        through(nn.Bilinear(1, 1, 1), Extent.of(4))
