"""Fields out of noise: slices or cubes that have the statistics of the true ones (CosmoGAN)."""

from hpctrain.tasks.field_gan.task import FieldGanTask as FieldGanTask

__all__ = ["FieldGanTask"]
