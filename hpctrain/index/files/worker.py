"""A process that reads files for the index: `python -m hpctrain.index.files.worker ROOT LEVEL [F]`.

On standard input come blocks of names, on standard output go blocks of facts; before each block
stand its bytes as a number of four bytes. F is `module:function`, which decodes a file. The process
imports little, holds no state, and ends when its input does.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

from hpctrain.errors import HpctrainError
from hpctrain.index.files.blocks import ERROR, receive, send
from hpctrain.index.files.reading import Inspect, read_file


def main(argv: list[str]) -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and closes the pipe
    root, level, target = argv
    inspect: Inspect | None = None
    if target:
        module, _, name = target.partition(":")
        inspect = getattr(importlib.import_module(module), name)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    root_fd = os.open(root, os.O_RDONLY)
    while (block := receive(source)) is not None:
        names = block.decode().split("\n")
        try:
            lines = [read_file(root, root_fd, name, level, inspect) for name in names]
        except HpctrainError as e:
            send(sink, ERROR + str(e).encode())
            return
        send(sink, "".join(lines).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
