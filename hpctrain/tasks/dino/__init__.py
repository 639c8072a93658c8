"""A student that tells of its crops what its teacher tells of others."""

from hpctrain.tasks.dino.task import DinoTask as DinoTask

__all__ = ["DinoTask"]
