"""Logging for both halves: plain lines, prefixed by rank when there is more than one."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("hpctrain")


def setup(prefix: str = "", level: int = logging.INFO) -> None:
    """Send the package's log to standard error.

    Args:
        prefix: put in front of each line, such as `[rank 3/8 nid01]`.
        level: lowest level that is shown.
    """
    handler = logging.StreamHandler(sys.stderr)
    lead = f"{prefix} " if prefix else ""
    handler.setFormatter(logging.Formatter(f"%(asctime)s {lead}%(message)s", "%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
