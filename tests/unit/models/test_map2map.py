"""State files of map2map: built from its published layer names, computed by its formulas."""

import pytest
import torch
import torch.nn.functional as F

from hpctrain.errors import ConfigError
from hpctrain.models.map2map import load_map2map
from hpctrain.models.noise import SampleNoise, ZeroNoise
from hpctrain.models.srsgan import SrDiscriminator, SrGenerator
from hpctrain.models.unet import UNet, VNet

W = 3  # channels of all layers


def weights(*shapes):
    """Random weights, by name and shape."""
    torch.manual_seed(0)
    return {name: 0.3 * torch.randn(shape, dtype=torch.float64) for name, shape in shapes}


def conv(name, out, into, kernel=3, transposed=False):
    first = (into, out) if transposed else (out, into)
    return [(f"{name}.weight", (*first, *(kernel,) * 3)), (f"{name}.bias", (out,))]


def batch_norm(name, width):
    names = ("weight", "bias", "running_mean", "running_var")
    return [*((f"{name}.{n}", (width,)) for n in names), (f"{name}.num_batches_tracked", ())]


def generator_state(blocks=2):
    shapes = conv("block0.0", W, 2, 1)
    for i in range(blocks):
        b = f"blocks.{i}"
        shapes += [(f"{b}.conv.0.std", (W,)), (f"{b}.conv.4.std", (W,))]
        shapes += conv(f"{b}.conv.2", W, W) + conv(f"{b}.conv.5", W, W)
        shapes += conv(f"{b}.proj.0", 2, W, 1)
    return weights(*shapes)


def act(x, slope=0.2):
    return F.leaky_relu(x, slope)


def apply(state, name, x, stride=1):
    return F.conv3d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride)


def up(x):
    y = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    return y[..., 1:-1, 1:-1, 1:-1]


def generator_forward(state, x, noise, strength=1.0):
    y, x = x, act(apply(state, "block0.0", x))
    for i in range(2):
        b = f"blocks.{i}"
        std = strength * state[f"{b}.conv.0.std"].view(-1, 1, 1, 1)
        x = act(apply(state, f"{b}.conv.2", up(x + std * noise(x))))
        std = strength * state[f"{b}.conv.4.std"].view(-1, 1, 1, 1)
        x = act(apply(state, f"{b}.conv.5", x + std * noise(x)))
        y = up(y)[..., 2:-2, 2:-2, 2:-2] + act(apply(state, f"{b}.proj.0", x))
    return y


@pytest.mark.parametrize(("layout", "strength"), [("map2map", 1.0), ("srs_map2map", 2.0)])
def test_srsgan_generator__computes_what_map2map_computes(layout, strength):
    """SRS-map2map returns x + noise after x already has it, so that each noise counts twice."""
    state = generator_state()
    model = SrGenerator(2, 2, 4, W, W, W, projection="leaky").double()
    load_map2map(model, {f"module.{k}": v for k, v in state.items()}, layout)
    x = torch.randn(2, 2, 7, 7, 8, dtype=torch.float64)
    expected = generator_forward(state, x, SampleNoise((1, 2)), strength)
    torch.testing.assert_close(model(x, SampleNoise((1, 2))), expected, rtol=1e-10, atol=1e-10)
    expected = generator_forward(state, x, ZeroNoise())
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_srsgan_discriminator__computes_what_map2map_computes():
    shapes = conv("block0.0", W, 4, 1) + conv("block9.0", W, W, 1) + conv("block9.2", 1, W, 1)
    for i in range(2):
        b = f"blocks.{i}"
        shapes += conv(f"{b}.conv.0", W, W) + conv(f"{b}.conv.2", W, W) + conv(f"{b}.skip", W, W, 1)
    state = weights(*shapes)
    model = SrDiscriminator(4, 4, W, W, W).double()
    load_map2map(model, state)
    x = torch.randn(1, 4, 16, 18, 17, dtype=torch.float64)
    y = act(apply(state, "block0.0", x))
    for i in range(2):
        b = f"blocks.{i}"
        z = act(apply(state, f"{b}.conv.2", act(apply(state, f"{b}.conv.0", y))))
        z = z + apply(state, f"{b}.skip", y)[..., 2:-2, 2:-2, 2:-2]
        y = F.interpolate(z, scale_factor=0.5, mode="trilinear", align_corners=False)
    y = apply(state, "block9.2", act(apply(state, "block9.0", y)))
    torch.testing.assert_close(model(x), y, rtol=1e-10, atol=1e-10)


LEVELS = {
    "conv_l0": ("CACBA", 2, W),
    "down_l0": ("DBA", W, W),
    "conv_l1": ("CBACBA", W, W),
    "down_l1": ("DBA", W, W),
    "conv_c": ("CBACBA", W, W),
    "up_r1": ("UBA", W, W),
    "conv_r1": ("CBACBA", 2 * W, W),
    "up_r0": ("UBA", W, W),
    "conv_r0": ("CAC", 2 * W, 2),
}
"""Blocks of UNet and VNet: letters for convolutions, norms, activations; channels in and out."""


def unet_state(is_residual):
    shapes = []
    for name, (letters, into, out) in LEVELS.items():
        middle, width = max(into, out), into
        total = sum(c in "CDU" for c in letters)
        done = 0
        for i, letter in enumerate(letters):
            key = f"{name}.convs.{i}"
            if letter in "CDU":
                done += 1
                new = out if done == total else middle
                kernel = 3 if letter == "C" else 2
                shapes += conv(key, new, width, kernel, letter == "U")
                width = new
            if letter == "B":
                shapes += batch_norm(key, width)
        if is_residual and name.startswith("conv"):
            shapes += conv(f"{name}.skip", out, into, 1)
    state = weights(*shapes)
    for key in state:
        if key.endswith("running_var"):
            state[key] = state[key].abs() + 0.5
        if key.endswith("tracked"):
            state[key] = torch.tensor(7)
    return state


def unet_block(state, name, x, is_residual):
    letters, *_ = LEVELS[name]
    before, is_late = x, is_residual and name.startswith("conv") and letters.endswith("A")
    for i, letter in enumerate(letters[:-1] if is_late else letters):
        key = f"{name}.convs.{i}"
        if letter == "C":
            x = apply(state, key, x)
        elif letter == "D":
            x = apply(state, key, x, 2)
        elif letter == "U":
            x = F.conv_transpose3d(x, state[f"{key}.weight"], state[f"{key}.bias"], 2)
        elif letter == "A":
            x = act(x, 0.01)
        else:
            mean, var = (state[f"{key}.running_{n}"] for n in ("mean", "var"))
            x = F.batch_norm(x, mean, var, state[f"{key}.weight"], state[f"{key}.bias"])
    if is_residual and name.startswith("conv"):
        cut = (before.shape[-1] - x.shape[-1]) // 2
        x = x + apply(state, f"{name}.skip", before)[(..., *(slice(cut, -cut),) * 3)]
    return act(x, 0.01) if is_late else x


@pytest.mark.parametrize("make", [UNet, VNet])
def test_unet_and_vnet__compute_what_map2map_computes(make):
    is_residual = make is VNet
    state = unet_state(is_residual)
    model = make(2, 2, W).double().eval()
    load_map2map(model, state)
    x = torch.randn(1, 2, 44, 44, 44, dtype=torch.float64)

    def block(name, x):
        return unet_block(state, name, x, is_residual)

    y0 = block("conv_l0", x)
    y1 = block("conv_l1", block("down_l0", y0))
    y = block("up_r1", block("conv_c", block("down_l1", y1)))
    y = block("conv_r1", torch.cat((y1[..., 4:-4, 4:-4, 4:-4], y), 1))
    y = block("up_r0", y)
    y = block("conv_r0", torch.cat((y0[..., 16:-16, 16:-16, 16:-16], y), 1))
    expected = y + x[..., 20:-20, 20:-20, 20:-20]
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("blocks.1.conv.5.bias"), "lacks blocks.1.conv2.bias for this srsgan"),
        (lambda s: s.update({"blocks.2.conv.0.std": torch.ones(W)}), "has too many: blocks.2"),
        (lambda s: s.update({"block0.0.bias": torch.ones(W + 1)}), r"shape \[4\] in the file and"),
        (lambda s: s.update({"conv_l0.convs.0.bias": torch.ones(1)}), "is no weight of map2map's"),
    ],
)
def test_load__what_does_not_fit_is_named_and_nothing_is_loaded(change, message):
    state = generator_state()
    change(state)
    model = SrGenerator(2, 2, 4, W, W, W, projection="leaky")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ConfigError, match=message):
        load_map2map(model, state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_load__linear_projection_and_other_networks_are_refused():
    with pytest.raises(ConfigError, match="set projection: leaky"):
        load_map2map(SrGenerator(2, 2, 4, W, W, W), generator_state())
    with pytest.raises(ConfigError, match="map2map has no Conv3d; allowed: srsgan, unet, vnet"):
        load_map2map(torch.nn.Conv3d(1, 1, 1), {})
