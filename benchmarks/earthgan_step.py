"""The mantle GAN's training step against a plain script in EarthGAN's published structure.

    python benchmarks/earthgan_step.py [--rounds 3] [--threads 2] [--base 512] [--only NAME ...]

Five critic updates and one of the generator, four variables, generator input 10^3 and field 38^3:
a sixteenth of the published slab of 198 x 118 x 38 cells; WGAN-GP with lambda 10, Adam with rate
1e-4 and betas (0, 0.9). All rows have the same weights to begin with. The plain scripts, in float32
and PyTorch's default layout, upsample features before they convolve and project a residual before
they average it:

- published: the generator's graph is made for each critic update and kept; its field is not
  detached, so that the critic's backward pass goes through the generator, too; the penalty takes
  the slope along field and condition;
- equal: the same updates without that waste. The generator's graph is made once, its field is
  detached, and the penalty takes the slope along the field, as in our step: equal arithmetic, and
  the critic's loss of the first step must be ours;
- equal, one pass: true and made fields go through the critic as one batch of two, as in our row
  `joint` (train.adversary.critic_batches). On a processor in float32, PyTorch takes a slower kernel
  for narrow layers and batches of one.

`fast` is another algorithm (train.adversary.preset): one critic update instead of five, and R1
every 16th step instead of a penalty in each. Its time is the mean over 16 steps. Each row is a
process of its own with its own peak of memory, above that of its imports; rounds are interleaved,
the first is not counted. Medians of the processor's time are compared, which other programs disturb
least; most of all with --threads 1, as threads that wait for each other use the processor, too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import ExitStack

from earthgan_case import EVERY, networks, our_step, settings
from earthgan_plain import PlainStep
from own_process import Measured, OwnProcess

from hpctrain.train.precision import Precision


def timed(process: OwnProcess, *, is_fast: bool) -> Measured:
    """One step; of a fast one the mean over those with a penalty and those without."""
    first = process(0)
    if not is_fast:
        return first
    second = process(1)
    wall, cpu = (
        (getattr(first, name) + (EVERY - 1) * getattr(second, name)) / EVERY
        for name in ("seconds", "cpu_seconds")
    )
    return Measured(wall, cpu, second.megabytes, second.value)


def main() -> None:
    """Print a table of seconds, megabytes and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--base", type=int, default=512, help="channels of the critic")
    parser.add_argument("--only", nargs="*", default=[], help="names of rows")
    given = parser.parse_args()
    exact, fast = (settings(given.base, is_fast=is_fast) for is_fast in (False, True))
    joint = settings(given.base, is_fast=False, is_joint=True)
    single = Precision("float32", "asked for")
    last = Precision("float32", "asked for", "channels_last")
    half = Precision("bfloat16", "asked for", "channels_last")
    rows = {
        "plain, published": (PlainStep, exact, "published"),
        "plain, equal": (PlainStep, exact, "equal"),
        "plain, equal, one pass": (PlainStep, exact, "one pass"),
        "ours, float32": (our_step, exact, single),
        "ours, float32, joint": (our_step, joint, single),
        "ours, float32, channels last": (our_step, exact, last),
        "ours, bfloat16, channels last": (our_step, exact, half),
        "fast, float32": (our_step, fast, single),
        "fast, bfloat16, channels last": (our_step, fast, half),
    }
    rows = {k: v for k, v in rows.items() if not given.only or k in given.only}
    found: dict[str, list[Measured]] = {name: [] for name in rows}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(OwnProcess(*row, threads=given.threads))
            for name, row in rows.items()
        }
        for _ in range(given.rounds + 1):
            for name, process in processes.items():
                one = timed(process, is_fast=name.startswith("fast"))
                found[name].append(one)
                print(f"  {name}: {one.seconds:.2f} s", file=sys.stderr, flush=True)
    counts = [sum(p.numel() for p in m.parameters()) for m in networks(exact).values()]
    print(f"parameters: generator {counts[0]:,}, discriminator {counts[1]:,}; "
          f"{given.threads} thread(s), {given.rounds} rounds")  # fmt: skip
    print(f"{'step':31}{'wall s':>8}{'CPU s':>8}{'least':>8}{'MB':>7}{'published /':>13}"
          f"{'equal /':>9}{'loss':>9}")  # fmt: skip
    cpu = {name: [m.cpu_seconds for m in values[1:]] for name, values in found.items()}
    medians = {name: statistics.median(values) for name, values in cpu.items()}
    losses, nan = {name: values[0].value for name, values in found.items()}, float("nan")
    for name, seconds in medians.items():
        a, b = (medians.get(f"plain, {kind}", nan) / seconds for kind in ("published", "equal"))
        wall = statistics.median(m.seconds for m in found[name][1:])
        print(f"{name:31}{wall:8.2f}{seconds:8.2f}{min(cpu[name]):8.2f}"
              f"{found[name][-1].megabytes:7.0f}{a:13.2f}{b:9.2f}{losses[name]:9.4f}")  # fmt: skip
    pair = [losses.get(name, nan) for name in ("ours, float32", "plain, equal")]
    assert not abs(pair[0] - pair[1]) > 1e-3 * abs(pair[1]), "unequal arithmetic"


if __name__ == "__main__":
    main()
