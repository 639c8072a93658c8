"""How long `hpctrain --help` takes, against importing the libraries that it is made of.

    python benchmarks/cli_start.py [--repeats 15]

The two are timed in turn, so that a busy moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

REPO = Path(__file__).resolve().parents[1]
COMMANDS = {
    "hpctrain --help": [sys.executable, "-m", "hpctrain", "--help"],
    "import typer, pydantic, jinja2, yaml": [
        sys.executable,
        "-c",
        "import typer, pydantic, jinja2, yaml",
    ],
}
AIM = 1.6


def seconds(command: list[str]) -> float:
    """Wall time of one start."""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)  # fills the page cache
    for _ in range(options.repeats):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    medians = {name: median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:38} {1000 * value:6.0f} ms (median of {options.repeats})")
    ours, theirs = medians.values()
    print(f"ratio: {ours / theirs:.2f} (aim: below {AIM})")


if __name__ == "__main__":
    main()
