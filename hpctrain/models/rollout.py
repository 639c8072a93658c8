"""Attention rollout: how much each patch reaches the class token through all blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.models.vit import VisionTransformer
from hpctrain.models.vit_block import Block

_ROWS = 512


@torch.no_grad()
def rollout(network: VisionTransformer, x: Tensor, rows: int = _ROWS) -> Tensor:
    """(B, N): shares of the patches, in float32; what stays at the class token is left out.

    Source: Abnar and Zuidema 2020, section 3: heads are averaged, and the shortcut beside each
    attention counts as half. Only the class token's row of the product is computed, from the last
    block to the first, and of each matrix some rows at a time: no N x N matrix is ever there.

    Args:
        network: evaluating.
        x: (B, C, H, W).
        rows: of an attention matrix at a time.
    """
    tokens = network._begin(x)
    inputs = []
    for block in network.blocks:
        inputs.append(tokens)
        tokens = block(tokens)
    found = torch.zeros(tokens.shape[:2], device=x.device)
    found[:, 0] = 1
    for block, own in zip(reversed(network.blocks), reversed(inputs), strict=True):
        assert isinstance(block, Block)
        found = found / 2 + _times(found / 2, block, own, rows)
    return found[:, 1 + network.num_registers :]


def _times(row: Tensor, block: Block, tokens: Tensor, rows: int) -> Tensor:
    """A row (B, N) times the block's attention matrix, the mean of its heads."""
    total, normed = torch.zeros_like(row), block.norm1(tokens)
    for start in range(0, row.shape[1], rows):
        some = slice(start, start + rows)
        # the class token is all that the last block is asked of
        if row[:, some].any():
            weights = block.attn.weights(normed, some).mean(dim=1)
            total += torch.einsum("bm,bmn->bn", row[:, some], weights)
    return total
