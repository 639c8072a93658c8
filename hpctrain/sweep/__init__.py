"""Sweeps: many runs from one job file, how they share the queue, and what came of them."""

from hpctrain.sweep.points import expand as expand
from hpctrain.sweep.render import Outcome as Outcome
from hpctrain.sweep.render import write_sweep as write_sweep
from hpctrain.sweep.submit import Submission as Submission
from hpctrain.sweep.submit import is_sweep as is_sweep
from hpctrain.sweep.submit import submissions as submissions

__all__ = ["Outcome", "Submission", "expand", "is_sweep", "submissions", "write_sweep"]
