"""A block of the vision transformer: attention and dense layers.

Attention never keeps its N x N matrix where that is large (Dao et al. 2022, arXiv 2205.14135), so
that memory grows with the tokens and not with their square.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6
"""Of layer norms."""
_RATIO = 4
"""Width of the hidden layer, relative to the tokens'."""
_SHORT = 256
"""Tokens up to which the N x N matrix is small beside the rest."""


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, is_first_only: bool = False) -> Tensor:
        """(B, N, K) to (B, N, K), or of the first token alone, which looks at all, (B, 1, K)."""
        query, key, value = self._of_first(x) if is_first_only else self._parts(x)
        is_half_on_cpu = x.device.type == "cpu" and query.dtype is torch.bfloat16
        if is_half_on_cpu and x.shape[1] <= _SHORT:
            # torch's own takes up to twice as long there, its backward pass six times
            scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
            y = scores.softmax(-1).to(value.dtype) @ value
        else:
            y = F.scaled_dot_product_attention(query, key, value)
        return self.proj(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, rows: slice = slice(None)) -> Tensor:
        """(B, heads, M, N) in float32: how much the M tokens of `rows` take from each token."""
        query, key, _ = self._parts(x)
        query = query[:, :, rows].float() * query.shape[-1] ** -0.5
        return (query @ key.float().transpose(-1, -2)).softmax(-1)  # type: ignore[no-any-return]

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, n, k = x.shape
        parts = self.qkv(x).view(b, n, 3, self.heads, k // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        return query, key, value

    def _of_first(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The query of the first token, (B, heads, 1, K / heads); keys and values of all."""
        b, n, k = x.shape
        weight, bias = self.qkv.weight, self.qkv.bias
        query = F.linear(x[:, :1], weight[:k], bias[:k])
        both = F.linear(x, weight[k:], bias[k:]).view(b, n, 2, self.heads, k // self.heads)
        key, value = both.permute(2, 0, 3, 1, 4)
        return query.view(b, 1, self.heads, k // self.heads).transpose(1, 2), key, value


class Mlp(nn.Module):
    """Two dense layers with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, _RATIO * dim)
        self.fc2 = nn.Linear(_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, K) to (B, N, K)."""
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class LayerScale(nn.Module):
    """A learned scale of each channel (Touvron et al. 2021, arXiv 2103.17239)."""

    def __init__(self, dim: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), start))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, K) to (B, N, K)."""
        return x * self.gamma


class Block(nn.Module):
    """Attention and dense layers, each beside a shortcut and behind a norm."""

    def __init__(self, dim: int, heads: int, layer_scale: float | None = None) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)

        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Attention(dim, heads)
        self.ls1 = scale()
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = Mlp(dim)
        self.ls2 = scale()

    def forward(self, x: Tensor, kept: Tensor | None = None, is_first_only: bool = False) -> Tensor:
        """Tokens to tokens.

        Args:
            x: (B, N, K).
            kept: (2, B) factors of both branches, 0 where one is left out; None: all stay.
            is_first_only: give the first token alone, (B, 1, K).
        """
        first = self.ls1(self.attn(self.norm1(x), is_first_only))
        x = x[:, : first.shape[1]]
        x = x + (first if kept is None else first * kept[0, :, None, None])
        second = self.ls2(self.mlp(self.norm2(x)))
        return x + (second if kept is None else second * kept[1, :, None, None])  # type: ignore[no-any-return]
