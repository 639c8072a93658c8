"""The vision transformer against its formulas, written out again in NumPy's float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpctrain.models.vit import VisionTransformer
from hpctrain.models.vit_block import Attention

Array = NDArray[np.float64]


def small(size: tuple[int, int] = (16, 24), **options: object) -> VisionTransformer:
    torch.manual_seed(0)
    shape: dict[str, object] = {"channels": 2, "patch_size": 8, "dim": 12, "heads": 3, "depth": 2}
    network = VisionTransformer(size, **{**shape, **options}).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.randn_like(p)
    return network


def pictures(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def norm(x: Array, own: dict[str, Array], name: str) -> Array:
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-6) * own[f"{name}.weight"] + own[f"{name}.bias"]


def dense(x: Array, own: dict[str, Array], name: str) -> Array:
    return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def published(own: dict[str, Array], x: Array) -> tuple[Array, list[Array]]:
    """Tokens of pictures (B, 2, 16, 24), and each block's attention (B, heads, N, N)."""
    b, dim, heads = len(x), 12, 3
    patches = x.reshape(b, 2, 2, 8, 3, 8).transpose(0, 2, 4, 1, 3, 5).reshape(b, 6, -1)
    kernel = own["patch_embed.proj.weight"].reshape(dim, -1)
    y = patches @ kernel.T + own["patch_embed.proj.bias"]
    y = np.concatenate([np.repeat(own["cls_token"], b, 0), y], 1) + own["pos_embed"]
    maps = []
    for i in range(2):
        name = f"blocks.{i}"
        parts = dense(norm(y, own, f"{name}.norm1"), own, f"{name}.attn.qkv")
        q, k, v = parts.reshape(b, 7, 3, heads, dim // heads).transpose(2, 0, 3, 1, 4)
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(dim // heads)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        maps.append(weights)
        taken = (weights @ v).transpose(0, 2, 1, 3).reshape(b, 7, dim)
        y = y + dense(taken, own, f"{name}.attn.proj")
        inner = gelu(dense(norm(y, own, f"{name}.norm2"), own, f"{name}.mlp.fc1"))
        y = y + dense(inner, own, f"{name}.mlp.fc2")
    return norm(y, own, "norm"), maps


def test_tokens__are_those_of_the_formulas() -> None:
    network, x = small(), pictures(2, 2, 16, 24)
    own = {name: value.numpy() for name, value in network.state_dict().items()}
    tokens, maps = published(own, x.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(network.tokens(x), tokens, rtol=0, atol=1e-12)
        np.testing.assert_allclose(network(x), tokens[:, 0], rtol=0, atol=1e-12)
    # attention is computed in float32
    np.testing.assert_allclose(network.attention(x, 0), maps[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(network.attention(x), maps[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(network.cls_attention(x), maps[1][:, :, 0, 1:], rtol=0, atol=1e-6)


def test_names__are_those_of_dino() -> None:
    names = set(small().state_dict())
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "norm.bias"} < names
    assert {"blocks.1.attn.qkv.weight", "blocks.0.mlp.fc2.bias", "blocks.0.norm1.weight"} < names


@pytest.mark.parametrize("size", [(16, 24), (32, 48), (20, 30), (8, 8)])
def test_tokens__sizes_of_all_kinds(size: tuple[int, int]) -> None:
    network = small()
    rows, columns = network.grid(size)
    assert (rows, columns) == (math.ceil(size[0] / 8), math.ceil(size[1] / 8))
    with torch.no_grad():
        tokens = network.tokens(pictures(1, 2, *size))
    assert tokens.shape == (1, 1 + rows * columns, 12)
    assert torch.isfinite(tokens).all()


def test_positions__a_linear_course_stays_one() -> None:
    network = small((64, 64))
    with torch.no_grad():
        course = torch.arange(8.0, dtype=torch.float64)
        network.pos_embed[0, 1:] = course.repeat_interleave(8)[:, None]
        grid = network._positions((16, 16))[0, 1:, 0].reshape(16, 16)
    # inner rows of the finer grid lie half-way: (i + 0.5) / 2 - 0.5
    wanted = (torch.arange(16.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(grid[4:12, 3], wanted[4:12], rtol=0, atol=1e-5)
    torch.testing.assert_close(grid[:, 0], grid[:, 9], rtol=0, atol=1e-5)


def test_masked__patches_show_nothing() -> None:
    network, x = small(), pictures(2, 2, 16, 24)
    masked = torch.zeros(2, 6, dtype=torch.bool)
    masked[0, 3] = True
    other = x.clone()
    other[0, :, 8:, :8] += 1  # patch 3: second row, first column
    token = torch.zeros(12, dtype=torch.float64)
    with torch.no_grad():
        first, second = (network.tokens(v, masked, token) for v in (x, other))
        plain = network.tokens(other)
    torch.testing.assert_close(first, second)
    assert not torch.allclose(plain[0], second[0])
    torch.testing.assert_close(plain[1], second[1])


def test_drop_factors__keep_means_and_grow_with_depth() -> None:
    network = small(depth=3, drop_path=0.5)
    uniform = torch.rand(3, 2, 40_000, generator=torch.Generator().manual_seed(2))
    factors = network.drop_factors(uniform)
    torch.testing.assert_close(factors.mean((1, 2)), torch.ones(3), rtol=0, atol=0.02)
    shares = (factors == 0).float().mean((1, 2))
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.25, 0.5]), rtol=0, atol=0.01)


def test_drop_factors__a_branch_of_one_sample_is_left_out() -> None:
    network, x = small(drop_path=0.3), pictures(2, 2, 16, 24)
    kept = torch.ones(2, 2, 2)
    kept[:, :, 0] = 0
    with torch.no_grad():
        found, plain = network.tokens(x, kept=kept), network.tokens(x)
        bare = network.norm(network._begin(x))
    torch.testing.assert_close(found[0], bare[0])
    torch.testing.assert_close(found[1], plain[1])


def test_registers__have_no_place_in_what_comes_out() -> None:
    network, x = small(num_registers=3, layer_scale=0.5), pictures(2, 2, 16, 24)
    with torch.no_grad():
        assert network.tokens(x).shape == (2, 7, 12)
    maps = network.attention(x)
    assert maps.shape == (2, 3, 7, 7)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 7))
    assert network.cls_attention(x).shape == (2, 3, 6)
    assert (network.cls_attention(x).sum(-1) < 1).all()


@pytest.mark.parametrize("registers", [0, 2])
def test_forward__is_the_class_token_with_its_slopes(registers: int) -> None:
    """The last block computes it alone; branches are left out as for all tokens."""
    network = small(num_registers=registers, layer_scale=0.5, drop_path=0.3)
    x, kept = (
        pictures(2, 2, 16, 24),
        torch.tensor([[[1.0, 0.5], [2.0, 0.0]], [[0.0, 3.0], [1.5, 1]]]),
    )
    found = []
    for give in (lambda: network(x, kept), lambda: network.tokens(x, kept=kept)[:, 0]):
        network.zero_grad()
        y = give()
        y.pow(3).sum().backward()
        found.append([y.detach(), *(p.grad.clone() for p in network.parameters())])
    for own, wanted in zip(*found, strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("longest", [0, 256])
def test_attention__half_precision_has_the_slopes_of_float32(
    monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """Both ways of a CPU: torch's own, and the formula for few tokens."""
    monkeypatch.setattr("hpctrain.models.vit_block._SHORT", longest)
    torch.manual_seed(0)
    attention = Attention(24, 3)
    slopes = []
    for is_half in (False, True):
        x = torch.randn(2, 9, 24, generator=torch.Generator().manual_seed(1), requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            y = attention(3 * x)
        y.float().square().sum().backward()
        assert x.grad is not None
        slopes.append(x.grad)
    exact, half = slopes
    assert (half - exact).norm() < 0.02 * exact.norm()
