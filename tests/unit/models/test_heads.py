"""Expander and DINO's head."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hpctrain.models.heads import DinoHead, Expander


def test_expander__layers() -> None:
    expander = Expander(6, (10, 12, 8))
    kinds = [type(layer).__name__ for layer in expander]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]
    assert expander.dim == 8
    assert expander(torch.randn(4, 6)).shape == (4, 8)
    assert Expander(6, (8,))(torch.randn(4, 6)).shape == (4, 8)


def test_dino_head__logits_are_cosines() -> None:
    head = DinoHead(6, prototypes=20, hidden=16, bottleneck=5)
    x = torch.randn(3, 6)
    logits = head(x)
    wanted = F.cosine_similarity(head.mlp(x)[:, None], head.prototypes[None], dim=-1)
    torch.testing.assert_close(logits, wanted)
    assert head.last_layer() == [head.prototypes]


def test_dino_head__length_of_prototypes_counts_nothing() -> None:
    head = DinoHead(6, prototypes=20, hidden=16, bottleneck=5)
    x = torch.randn(3, 6)
    before = head(x)
    with torch.no_grad():
        head.prototypes *= 3
    torch.testing.assert_close(head(x), before)


def test_dino_head__a_free_gain_is_learned() -> None:
    head = DinoHead(6, prototypes=20, hidden=16, bottleneck=5, layers=2, is_gain_fixed=False)
    assert head.gain is not None
    x = torch.randn(3, 6)
    before = head(x)
    with torch.no_grad():
        head.gain *= 2
    torch.testing.assert_close(head(x), 2 * before)
    assert len(head.last_layer()) == 2
