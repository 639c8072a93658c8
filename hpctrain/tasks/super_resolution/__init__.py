"""Super-resolution of 3D fields: regression, or a conditional GAN."""

from hpctrain.tasks.super_resolution.task import SuperResolutionTask as SuperResolutionTask

__all__ = ["SuperResolutionTask"]
