"""Runs to hand over: a Workflow Run RO-Crate of a run, and the same job again from one."""

from hpctrain.crate.export import Options as Options
from hpctrain.crate.export import export as export
from hpctrain.crate.reproduce import reproduce as reproduce

__all__ = ["Options", "export", "reproduce"]
