"""Peak memory of 3D convolutions: the mantle devlog's slab on one rank, one training step.

    python benchmarks/slab_memory.py [--input 30 20 10] [--threads 2] [--precision float32 bfloat16]

Generator input 30 x 20 x 10, field 198 x 118 x 38, four variables, the published networks: the slab
that its author narrowed until it fitted a GPU of 12 GB. One critic update with gradient penalty and
one of the generator; four more critic updates would take longer and no more memory. Each row is a
process of its own, whose peak above that of its imports is shown; a smaller `--input` (10 10 10 is
the smallest) is a quick look. With `activation_checkpointing` blocks of both networks compute their
activations again in the backward pass; the losses must be the same to the last bit.
"""

from __future__ import annotations

import argparse
import itertools
import math

from earthgan_case import FACTOR, our_step, settings
from own_process import OwnProcess

from hpctrain.train.precision import Precision

LAYOUTS = ("contiguous", "channels_last")


def main() -> None:
    """Print a table; fails where checkpointing changes a loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=int, nargs=3, default=(30, 20, 10))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--base", type=int, default=512, help="channels of the critic")
    parser.add_argument(
        "--precision", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
    )
    given = parser.parse_args()
    block = settings(given.base, is_fast=False, critic_steps=1)
    field = [FACTOR * n - 6 * (FACTOR - 1) for n in given.input]
    print(f"field {' x '.join(map(str, field))}: {math.prod(field):,} cells, 4 variables, "
          f"{given.threads} thread(s)")  # fmt: skip
    print(f"{'precision':10}{'layout':15}{'checkpointing':14}{'peak MB':>9}{'first /':>9}"
          f"{'kB a cell':>11}{'s':>8}{'loss':>12}")  # fmt: skip
    first = 0.0
    for name, layout in itertools.product(given.precision, LAYOUTS):
        losses = []
        for is_checkpointed in (False, True):
            precision = Precision(name, "asked for", layout)
            row = (our_step, block, precision, tuple(given.input), is_checkpointed)
            with OwnProcess(*row, threads=given.threads) as process:
                found = process(0)
            losses.append(found.value)
            first = first or found.megabytes
            print(f"{name:10}{layout:15}{'on' if is_checkpointed else 'off':14}"
                  f"{found.megabytes:9.0f}{first / found.megabytes:9.2f}"
                  f"{1e3 * found.megabytes / math.prod(field):11.2f}{found.seconds:8.1f}"
                  f"{found.value:12.6f}", flush=True)  # fmt: skip
        assert losses[0] == losses[1], "checkpointing changed the loss"


if __name__ == "__main__":
    main()
