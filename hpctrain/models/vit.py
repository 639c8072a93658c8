"""Vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) in the form of DINO.

Weights have DINO's and timm's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.models.vit_block import EPSILON, Block

_DEVIATION = 0.02


class VitSize(NamedTuple):
    """Width of the tokens and heads of each block."""

    dim: int
    heads: int


SIZES = {"tiny": VitSize(192, 3), "small": VitSize(384, 6), "base": VitSize(768, 12)}


class PatchEmbedding(nn.Module):
    """One token for each patch: a convolution whose stride is its size."""

    def __init__(self, channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(channels, dim, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, K); edges are repeated where patches do not fit."""
        p = self.patch_size
        bottom, right = -x.shape[2] % p, -x.shape[3] % p
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return self.proj(x).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    """Pictures to vectors: the class token behind the last norm.

    Args:
        size: (H, W) of pictures in training, which the learned positions belong to; others get
            interpolated ones.
        channels: of a picture.
        patch_size: pixels of a patch along each axis.
        dim: width of the tokens.
        heads: of each block.
        depth: blocks.
        num_registers: tokens without a place beside the class token.
        layer_scale: first value of the scale of each branch; None: no scale.
        drop_path: probability of leaving out a branch of the last block, 0 at the first.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: int = 3,
        patch_size: int = 16,
        dim: int = 384,
        heads: int = 6,
        depth: int = 12,
        *,
        num_registers: int = 0,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim, self.patch_size, self.num_registers = dim, patch_size, num_registers
        self.drop_path = drop_path
        self.train_grid = self.grid(size)
        """Rows and columns of patches that the learned positions belong to."""
        count = self.train_grid[0] * self.train_grid[1]
        self.patch_embed = PatchEmbedding(channels, dim, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + count, dim))
        if num_registers:
            self.reg_token = nn.Parameter(torch.zeros(1, num_registers, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, layer_scale) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=EPSILON)
        self._draw_weights()

    def grid(self, size: Sequence[int]) -> tuple[int, int]:
        """Patches along both axes of a picture (H, W)."""
        return -(-size[0] // self.patch_size), -(-size[1] // self.patch_size)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """(B, C, H, W) to (B, K); `kept` as in `tokens`.

        The last block computes the class token alone, as nobody asks for the others behind it.
        """
        x = self._begin(x)
        last = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x = block(x, None if kept is None else kept[i].to(x.dtype), i == last)
        return self.norm(x)[:, 0]  # type: ignore[no-any-return]

    def tokens(
        self,
        x: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """All tokens with a place behind the last norm, the class token first.

        Args:
            x: (B, C, H, W).
            masked: (B, N), true where a patch is replaced by the mask's token.
            mask_token: (K,) of masked patches; it belongs to who trains it.
            kept: (depth, 2, B) factors of the branches, from `drop_factors`; None: all stay.

        Returns:
            (B, 1 + N, K).
        """
        x = self._begin(x, masked, mask_token)
        for i, block in enumerate(self.blocks):
            x = block(x, None if kept is None else kept[i].to(x.dtype))
        x = self.norm(x)
        return torch.cat((x[:, :1], x[:, 1 + self.num_registers :]), 1) if self.num_registers else x

    def drop_factors(self, uniform: Tensor) -> Tensor:
        """Factors of the branches in training, which keep their means.

        Args:
            uniform: (depth, 2, B) uniform in [0, 1), of each sample's own stream.
        """
        rates = torch.linspace(0, self.drop_path, len(self.blocks), device=uniform.device)
        rates = rates[:, None, None]
        return (uniform >= rates).float() / (1 - rates)

    @torch.no_grad()
    def attention(self, x: Tensor, block: int = -1) -> Tensor:
        """Attention of one block, (B, heads, 1 + N, 1 + N) in float32, the class token first."""
        number = block % len(self.blocks)
        return next(a for i, a in enumerate(self.each_attention(x)) if i == number)

    @torch.no_grad()
    def each_attention(self, x: Tensor) -> Iterator[Tensor]:
        """The same of each block, one after another, so that one alone is in memory.

        What registers give and take is left out; rows are brought back to the sum 1.
        """
        x = self._begin(x)
        for block in self.blocks:
            yield self._placed(block.attn.weights(block.norm1(x)))  # type: ignore[union-attr, operator]
            x = block(x)

    @torch.no_grad()
    def cls_attention(self, x: Tensor) -> Tensor:
        """(B, heads, N): how much the last block's class token takes from each patch; sum <= 1."""
        x = self._begin(x)
        *others, last = self.blocks
        for block in others:
            x = block(x)
        row = last.attn.weights(last.norm1(x), slice(0, 1))  # type: ignore[union-attr, operator]
        return row[:, :, 0, 1 + self.num_registers :]  # type: ignore[no-any-return]

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks that may compute twice."""
        return list(self.blocks)

    def _begin(
        self, x: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None
    ) -> Tensor:
        grid = self.grid(x.shape[2:])
        x = self.patch_embed(x)
        if masked is not None:
            assert mask_token is not None
            x = torch.where(masked[..., None], mask_token.to(x.dtype), x)
        positions = self._positions(grid).to(x.dtype)
        first = self.cls_token.to(x.dtype) + positions[:, :1]
        parts = [first.expand(len(x), -1, -1)]
        if self.num_registers:
            parts.append(self.reg_token.to(x.dtype).expand(len(x), -1, -1))
        return torch.cat((*parts, x + positions[:, 1:]), 1)

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """(1, 1 + N, K) for a grid; bicubic between those of training."""
        if grid == self.train_grid:
            return self.pos_embed
        return fitted_positions(self.pos_embed, self.train_grid, grid)

    def _placed(self, weights: Tensor) -> Tensor:
        if not self.num_registers:
            return weights
        at = [0, *range(1 + self.num_registers, weights.shape[-1])]
        weights = weights[:, :, at][..., at]
        return weights / weights.sum(-1, keepdim=True)

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_DEVIATION)
                nn.init.zeros_(module.bias)
        for token in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(token, std=_DEVIATION)
        if self.num_registers:
            nn.init.normal_(self.reg_token, std=1e-6)


def fitted_positions(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Positions of another grid of patches; that of the class token stays.

    Args:
        positions: (1, 1 + rows * columns, K).
        old: rows and columns that they belong to.
        new: rows and columns that are wanted.
    """
    with torch.autocast(positions.device.type, enabled=False):
        own = positions[:, 1:].float().transpose(1, 2).reshape(1, -1, *old)
        own = F.interpolate(own, size=new, mode="bicubic", antialias=True, align_corners=False)
        return torch.cat((positions[:, :1].float(), own.flatten(2).transpose(1, 2)), 1)
