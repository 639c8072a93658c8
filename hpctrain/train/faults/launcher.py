"""Whether the launcher that started this rank is still there."""

from __future__ import annotations

import os

_PARENT = os.getppid()


def is_gone() -> bool:
    """True on a rank of several whose parent, the launcher on this node, has ended.

    A rank alone may outlive its script: nothing else of the job is lost with that.
    """
    return os.getppid() != _PARENT and int(os.environ.get("HPCTRAIN_WORLD_SIZE") or 1) > 1
