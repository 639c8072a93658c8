"""The DCGAN's networks against the formulas, written out again without torch's layers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpctrain.errors import ConfigError
from hpctrain.models.dcgan import DcganDiscriminator, DcganGenerator

Array = NDArray[np.float64]
EPSILON = 1e-5


def values(module: torch.nn.Module) -> dict[str, Array]:
    """Parameters and buffers of a network, all moved off their first values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand(tensor.shape, dtype=torch.float64, generator=generator)
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def normalised(x: Array, own: dict[str, Array], name: str, *, is_training: bool) -> Array:
    """Batch normalisation (Ioffe and Szegedy 2015, algorithm 1)."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes) if is_training else own[f"{name}.running_mean"]
    var = x.var(axes) if is_training else own[f"{name}.running_var"]
    shape = (1, -1, *(1 for _ in axes[1:]))
    y = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + EPSILON)
    return y * own[f"{name}.weight"].reshape(shape) + own[f"{name}.bias"].reshape(shape)


def offsets(kernel: int, dims: int) -> itertools.product[tuple[int, ...]]:
    return itertools.product(range(kernel), repeat=dims)


def convolved(x: Array, weight: Array, bias: Array | None) -> Array:
    """y[o, p] = b[o] + sum over c and q of w[o, c, q] x[c, 2 p + q - k // 2], zeros outside."""
    kernel, dims = weight.shape[-1], weight.ndim - 2
    half = kernel // 2
    padded = np.pad(x, [(0, 0), (0, 0), *[(half, half)] * dims])
    size = [n // 2 for n in x.shape[2:]]
    y = np.zeros((len(x), len(weight), *size))
    for q in offsets(kernel, dims):
        part = padded[(..., *(slice(i, i + 2 * n, 2) for i, n in zip(q, size, strict=True)))]
        y += np.einsum("oc,bc...->bo...", weight[(..., *q)], part)
    return y if bias is None else y + bias.reshape(1, -1, *[1] * dims)


def transposed(x: Array, weight: Array, bias: Array | None) -> Array:
    """Its adjoint: y[o, 2 p + q - k // 2] += w[c, o, q] x[c, p]."""
    kernel, dims = weight.shape[-1], weight.ndim - 2
    half, size = kernel // 2, [2 * n for n in x.shape[2:]]
    y = np.zeros((len(x), weight.shape[1], *(n + 2 * half for n in size)))
    for q in offsets(kernel, dims):
        to = (..., *(slice(i, i + n, 2) for i, n in zip(q, size, strict=True)))
        y[to] += np.einsum("co,bc...->bo...", weight[(..., *q)], x)
    inner = (..., *(slice(half, half + n) for n in size))
    return y[inner] if bias is None else y[inner] + bias.reshape(1, -1, *[1] * dims)


@pytest.mark.parametrize("size", [(1, 16, 8), (8, 16, 8)])
@pytest.mark.parametrize("is_training", [True, False])
def test_generator__equals_the_formula(size: tuple[int, int, int], is_training: bool) -> None:
    model = DcganGenerator(5, 2, size, (3, 4, 6), style_size=2).double().train(is_training)
    own = values(model)
    rng = np.random.default_rng(0)
    noise, style = rng.standard_normal((3, 5)), rng.standard_normal((3, 2))
    x = np.concatenate((noise, style), 1) @ own["dense.weight"].T
    x = np.maximum(normalised(x, own, "dense_norm", is_training=is_training), 0)
    x = x.reshape(3, 6, *(n // 8 for n in size if n > 1))
    for i in range(3):
        x = transposed(x, own[f"layers.{i}.0.weight"], own.get(f"layers.{i}.0.bias"))
        if i < 2:
            x = np.maximum(normalised(x, own, f"layers.{i}.1", is_training=is_training), 0)
    found = model(torch.from_numpy(noise), torch.from_numpy(style)).detach().numpy()
    assert found.shape == (3, 2, *size)
    assert np.abs(found.reshape(x.shape) - np.tanh(x)).max() < 1e-10


@pytest.mark.parametrize("size", [(1, 16, 8), (8, 16, 8)])
@pytest.mark.parametrize("is_training", [True, False])
def test_discriminator__equals_the_formula(size: tuple[int, int, int], is_training: bool) -> None:
    model = DcganDiscriminator(2, size, (3, 4, 6), style_size=2).double().train(is_training)
    own = values(model)
    rng = np.random.default_rng(0)
    field, style = rng.standard_normal((3, 2, *size)), rng.standard_normal((3, 2))
    x = field.reshape(3, 2, *(n for n in size if n > 1))
    for i in range(3):
        x = convolved(x, own[f"layers.{i}.0.weight"], own.get(f"layers.{i}.0.bias"))
        x = normalised(x, own, f"layers.{i}.1", is_training=is_training)
        x = np.where(x > 0, x, 0.2 * x)
    features = x.reshape(3, -1)
    logits = features @ own["dense.weight"].T + own["dense.bias"]
    logits += (features * (style @ own["projection.weight"].T)).sum(1, keepdims=True)
    found = model(torch.from_numpy(field), torch.from_numpy(style)).detach().numpy()
    assert np.abs(found - logits).max() < 1e-10


def test_default__has_exagans_parameters() -> None:
    """The published widths at 128^2: 6.5 million and 4.3 million."""
    generator = DcganGenerator(64, 1, (1, 128, 128))
    critic = DcganDiscriminator(2, (1, 128, 128))
    counts = [sum(p.numel() for p in m.parameters()) for m in (generator, critic)]
    kernels = 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64)
    dense = 64 * 32768 + 2 * 32768
    assert counts[0] == kernels + dense + 2 * (256 + 128 + 64) + 1
    assert counts[1] == 25 * (2 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * 960 + 32769
    weights = generator.layers[0][0].weight.detach()
    assert float(weights.std()) == pytest.approx(0.02 * 0.88, rel=0.02)  # cut at two deviations
    assert float(weights.abs().max()) <= 0.04


@pytest.mark.parametrize("size", [(1, 24, 16), (1, 4, 4), (8, 8, 12)])
def test_size__that_cannot_be_halved_so_often(size: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="3 layers halve a field 3 times.*a multiple of 8"):
        DcganGenerator(4, 1, (1, 20, 8), (2, 2, 2))
    if size != (1, 24, 16):
        with pytest.raises(ConfigError, match="halve"):
            DcganDiscriminator(1, size, (2, 2, 2))


@pytest.mark.parametrize("size", [(1, 32, 32), (16, 16, 16)])
@pytest.mark.parametrize("output", ["tanh", "linear"])
def test_generator__under_autocast_gives_all_digits(
    size: tuple[int, int, int], output: str
) -> None:
    """s(x) inverse turns the last digits below 1 into all values above some hundreds."""
    torch.manual_seed(0)
    model = DcganGenerator(4, 1, size, (4, 6), output=output)
    with torch.no_grad():
        model.layers[-1][0].weight.mul_(20)
        model.layers[-1][0].bias.fill_(2.5)
        with torch.autocast("cpu", torch.bfloat16):
            made = model(torch.randn(8, 4))
    assert made.dtype == torch.float32
    high = made[made > (0.95 if output == "tanh" else 0)]
    assert len(high) > 500
    assert len(high.unique()) > 0.9 * len(high)
