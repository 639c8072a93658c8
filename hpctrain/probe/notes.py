"""What one rank has found by now, in a file of its own."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hpctrain
from hpctrain.provenance.host import host_facts
from hpctrain.provenance.limits import limit_facts

_RANK = ("HPCTRAIN_", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_MORE = ("ZE_AFFINITY_MASK", "OMP_NUM_THREADS")


class Notes:
    """A page that is replaced at each stage, so that its reader never sees half of one."""

    def __init__(self, folder: Path) -> None:
        host = socket.gethostname().split(".")[0]
        # not named by the rank: ranks that do not know of each other are all rank 0
        self._path = folder / f"{host}-{os.getpid()}.json"
        self._page: dict[str, Any] = {
            "host": host,
            "pid": os.getpid(),
            "python": sys.executable,
            "hpctrain": {"version": hpctrain.__version__, "file": hpctrain.__file__},
            "environment": _environment(os.environ),
            "facts": host_facts(),
            "limits": limit_facts(),
            "began": time.time(),
        }
        self.at("finding its place")

    def at(self, stage: str, **found: Any) -> None:
        """Note what the stage before has found, and what this rank does now."""
        self._page |= {**found, "stage": stage}
        self._write()

    def failed(self, message: str) -> None:
        """Note why this rank goes no further; the stage stays."""
        self._page["error"] = message
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._page))
        temporary.replace(self._path)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in sorted(env.items()) if k.startswith(_RANK) or k in _MORE}
