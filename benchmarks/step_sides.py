"""Whole training steps of several sides: equal first, then timed in turns, each by itself."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from own_process import Measured, OwnProcess
from torch import Tensor

from hpctrain.models.vit_block import Attention

SIDES = ("published", "float32", "bfloat16")


def plain_attention(self: Attention, x: Tensor, _: bool = False) -> Tensor:
    """Attention as published code has it, with its matrix."""
    b, n, k = x.shape
    qkv = self.qkv(x).reshape(b, n, 3, self.heads, k // self.heads).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    weights = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
    return self.proj((weights.softmax(dim=-1) @ value).transpose(1, 2).reshape(b, n, k))


def as_published(network: Any) -> None:
    """Give a vision transformer the attention of published code."""
    for block in network.blocks:
        block.attn.forward = plain_attention.__get__(block.attn)


def classes(network: Any, x: Tensor) -> Tensor:
    """Class tokens; all tokens go through the last block, too, as in published code."""
    found: Tensor = network.tokens(x)[:, 0]
    return found


def compare_steps(
    make: Callable[..., Callable[[], float]],
    given: argparse.Namespace,
    arguments: Sequence[Any],
    tolerance: float,
) -> None:
    """Print the table.

    Args:
        make: of a side's name and the arguments; returns a function of one step, whose value is
            the loss.
        given: the command line's rounds and threads.
        arguments: of `make`.
        tolerance: of the first losses of the sides in float32, relative.
    """
    found: dict[str, list[Measured]] = {side: [] for side in SIDES}
    with ExitStack() as stack:
        steps = {
            side: stack.enter_context(OwnProcess(make, side, *arguments, threads=given.threads))
            for side in SIDES
        }
        first = {side: step().value for side, step in steps.items()}
        for _ in range(given.rounds):
            for side, step in steps.items():
                found[side].append(step())
        with OwnProcess(make_products, threads=given.threads) as products:
            rates = products().value
    print("products of 1024 x 1024: " + ", ".join(f"{n} {v:.0f} GFLOP/s" for n, v in rates.items()))
    print(
        f"{'step':12}{'wall s':>9}{'cpu s':>9}{'MB':>7}{'published / (wall, cpu)':>26}{'loss':>9}"
    )
    wall = {side: statistics.median(m.seconds for m in ms) for side, ms in found.items()}
    cpu = {side: statistics.median(m.cpu_seconds for m in ms) for side, ms in found.items()}
    for side in SIDES:
        ratios = f"{wall['published'] / wall[side]:.2f} {cpu['published'] / cpu[side]:.2f}"
        peak = found[side][-1].megabytes
        print(
            f"{side:12}{wall[side]:9.2f}{cpu[side]:9.2f}{peak:7.0f}{ratios:>26}{first[side]:9.4f}"
        )
    apart = abs(first["float32"] - first["published"])
    assert apart < tolerance * abs(first["published"]), "unequal arithmetic"


def make_products() -> Callable[[], dict[str, float]]:
    """How fast the processor multiplies, which bounds what half precision can gain."""

    def products() -> dict[str, float]:
        rates = {}
        for kind in (torch.float32, torch.bfloat16):
            a, b = (torch.randn(1024, 1024).to(kind) for _ in range(2))
            times = []
            for _ in range(12):
                begin = time.process_time()
                torch.mm(a, b)
                times.append(time.process_time() - begin)
            rates[str(kind).removeprefix("torch.")] = 2 * 1024**3 / min(times) / 1e9
        return rates

    return products
