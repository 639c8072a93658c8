"""Where ink is on the flattened surface of a scroll."""

from hpctrain.tasks.ink.task import InkTask as InkTask

__all__ = ["InkTask"]
