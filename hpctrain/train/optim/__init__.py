"""Optimizers for large batches, which torch.optim does not have."""

from hpctrain.train.optim.lamb import Lamb as Lamb
from hpctrain.train.optim.lars import Lars as Lars

__all__ = ["Lamb", "Lars"]
