"""Every benchmark that has a `--device` option, on this machine's CUDA device.

    python benchmarks/gpu.py [--list]          (make bench-gpu)

Without a device nothing is measured, and the exit code is 1: no figures are no success. With
`--list` the commands are printed only.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent


def commands() -> list[list[str]]:
    """One command for each benchmark that can run on a device."""
    scripts = [path for path in sorted(HERE.glob("*.py")) if path.name != Path(__file__).name]
    chosen = [path for path in scripts if 'add_argument("--device"' in path.read_text()]
    return [[sys.executable, str(path), "--device", "cuda"] for path in chosen]


def main() -> int:
    """Run them one after another; 1 if one failed, or if there is no device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the commands only")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(shlex.join(command) for command in commands()))
        return 0
    if not torch.cuda.is_available():
        print(
            f"bench-gpu: torch {torch.__version__} sees no CUDA device here, so nothing was "
            "measured; run it on a node with a GPU and a torch built for CUDA",
            file=sys.stderr,
        )
        return 1
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    failed = []
    for command in commands():
        print(f"\n$ {shlex.join(command)}", flush=True)
        if subprocess.run(command, cwd=HERE.parent).returncode:
            failed.append(Path(command[1]).name)
    if failed:
        print(f"bench-gpu: failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
