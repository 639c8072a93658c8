"""Ranks that need no imports: see server.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
_servers: dict[str, subprocess.Popen[bytes]] = {}
"""At most one, by its address."""


def environment() -> dict[str, str]:
    """The environment of a run whose ranks are forks of a process that has imported torch."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **variables(os.environ.get("PYTHONPATH", ""))}


def variables(path: str) -> dict[str, str]:
    """What makes ranks warm, beside the PYTHONPATH that they have."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [path, str(FOLDER)])),
        "TEST_WARM": f"{address()}{os.pathsep}{sys.prefix}",
    }


def address() -> str:
    """Where the server listens, which is started at the first call."""
    if not _servers:
        _start(str(Path(tempfile.mkdtemp(prefix="hpctrain-warm-")) / "socket"))
    return next(iter(_servers))


def _start(address: str) -> None:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, str(FOLDER / "server.py"), address],
        env={**kept, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout
    assert server.stdout.readline() == b"warm\n"
    _servers[address] = server


def stop() -> None:
    """End the server, if one was started."""
    for server in _servers.values():
        server.communicate(timeout=60)
    _servers.clear()
