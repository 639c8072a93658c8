"""A vision transformer forward and backward on the thermal picture, beside the published form.

    python benchmarks/attention.py [--patch 4] [--size 252 336] [--rounds 3] [--threads 2]

The published form (DINO's vision transformer) multiplies queries and keys to an N x N matrix for
each head and keeps it and its softmax for the backward pass; 252 x 336 pixels at patch 4 are 5293
tokens. Both sides have the same weights (vit_tiny, 12 blocks) and picture; vectors and gradients
are compared before anything is timed. Each side has a process of its own, for its peak memory;
rounds are interleaved and medians shown. CPU seconds are the ones to trust where other programs
share the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable

import torch
from own_process import Measured, OwnProcess
from torch import Tensor, nn

from hpctrain.models.vit import SIZES, VisionTransformer
from hpctrain.models.vit_block import Attention

PUBLISHED, OURS, BF16 = "published", "hpctrain float32", "hpctrain bfloat16"


class PublishedAttention(nn.Module):
    """Attention by its formula, with the matrix of all pairs of tokens."""

    def __init__(self, own: Attention) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = own.heads, own.qkv, own.proj

    def forward(self, x: Tensor, _: bool = False) -> Tensor:
        """(B, N, K) to (B, N, K)."""
        b, n, k = x.shape
        parts = self.qkv(x).reshape(b, n, 3, self.heads, k // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        scores = (query @ key.transpose(-2, -1)) * (k // self.heads) ** -0.5
        weights = scores.softmax(dim=-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(b, n, k))


def make(kind: str, size: tuple[int, int], patch: int, batch: int) -> Callable[[], Tensor]:
    """A function that goes forward and backward once and returns vector and gradient."""
    torch.manual_seed(0)
    width = SIZES["tiny"]
    network = VisionTransformer(size, 1, patch, width.dim, width.heads)
    if kind == PUBLISHED:
        for block in network.blocks:
            block.attn = PublishedAttention(block.attn)
    x = torch.randn(batch, 1, *size)

    def step() -> Tensor:
        network.zero_grad()
        is_wide = kind != BF16
        context = contextlib.nullcontext() if is_wide else torch.autocast("cpu", torch.bfloat16)
        with context:
            # the paper's code takes all tokens through the last block, too
            y = network.tokens(x)[:, 0] if kind == PUBLISHED else network(x)
        y.float().square().sum().backward()
        slope = network.patch_embed.proj.weight.grad
        return torch.cat([y.detach().float().flatten(), slope.flatten()])

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(252, 336))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    kinds = (PUBLISHED, OURS, BF16)
    found: dict[str, list[Measured]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        sides = {
            kind: stack.enter_context(
                OwnProcess(
                    make, kind, tuple(given.size), given.patch, given.batch, threads=given.threads
                )
            )
            for kind in kinds
        }
        for _ in range(given.rounds):
            for kind, side in sides.items():
                found[kind].append(side())
    reference = found[PUBLISHED][0].value
    off = float((found[OURS][0].value - reference).abs().max() / reference.abs().max())
    rows, columns = (-(-n // given.patch) for n in given.size)
    print(f"vit_tiny, {rows * columns + 1} tokens, batch {given.batch}, {given.threads} threads")
    print(f"largest difference of vector and gradient in float32: {off:.1e} of the largest value")
    print(f"{'':20}{'s':>9}{'CPU s':>9}{'MB':>8}{'time':>9}{'CPU':>9}{'memory':>9}")
    base = found[PUBLISHED]
    for kind, own in found.items():
        figures = [
            statistics.median(getattr(m, name) for m in own)
            for name in ("seconds", "cpu_seconds", "megabytes")
        ]
        against = [
            statistics.median(getattr(m, name) for m in base) / value
            for name, value in zip(("seconds", "cpu_seconds", "megabytes"), figures, strict=True)
        ]
        print(
            f"{kind:20}{figures[0]:9.2f}{figures[1]:9.2f}{figures[2]:8.0f}"
            + "".join(f"{ratio:8.2f}x" for ratio in against)
        )


if __name__ == "__main__":
    main()
