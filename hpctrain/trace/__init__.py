"""From a product back to its run, code, container and input files, and what changed since."""

from hpctrain.trace.chain import Chain as Chain
from hpctrain.trace.chain import Link as Link
from hpctrain.trace.chain import trace as trace

__all__ = ["Chain", "Link", "trace"]
