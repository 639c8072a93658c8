"""Ranks that need no imports: see server.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
"""Belongs into the PYTHONPATH of warm ranks, after the run's own code."""
_servers: dict[str, subprocess.Popen[bytes]] = {}
"""At most one, by its address."""


def environment() -> dict[str, str]:
    """The environment of a run whose ranks are forks of a process that has imported torch."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(FOLDER)]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "TEST_WARM": address()}


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
