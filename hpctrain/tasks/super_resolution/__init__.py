"""Fields from fields: super-resolution and emulation, as a regression or a conditional GAN."""

from hpctrain.tasks.super_resolution.task import FieldToFieldTask as FieldToFieldTask
from hpctrain.tasks.super_resolution.task import SuperResolutionTask as SuperResolutionTask

__all__ = ["FieldToFieldTask", "SuperResolutionTask"]
