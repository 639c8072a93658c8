"""Attention rollout against the product of whole matrices."""

from __future__ import annotations

import pytest
import torch

from hpctrain.models.rollout import rollout
from hpctrain.models.vit import VisionTransformer


@pytest.mark.parametrize(("registers", "rows", "size"), [(0, 512, (24, 32)), (2, 5, (40, 28))])
def test_rollout__is_the_product_of_all_blocks(registers: int, rows: int, size) -> None:
    torch.manual_seed(2)
    network = VisionTransformer((24, 32), 3, 8, 24, 3, 4, num_registers=registers).eval()
    for block in network.blocks:  # attention that is far from even
        block.attn.qkv.weight.data *= 40
    x = torch.randn(2, 3, *size)
    tokens, product = network._begin(x), None
    for block in network.blocks:
        own = block.attn.weights(block.norm1(tokens)).mean(1)
        own = (own + torch.eye(own.shape[-1])) / 2
        product = own if product is None else own @ product
        tokens = block(tokens)
    assert product is not None
    expected = product[:, 0, 1 + registers :]
    found = rollout(network, x, rows)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-7)
    assert found.shape == (2, torch.tensor(network.grid(size)).prod())
    assert (found.sum(1) < 1).all()
