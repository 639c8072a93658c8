"""Scroll data for the trainer: windows of volumes, drawn from everywhere, with their labels."""

from hpctrain.data.scroll.batch import ScrollBatch as ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset as ScrollDataset
from hpctrain.data.scroll.places import Place as Place
from hpctrain.data.scroll.scales import ScrollScales as ScrollScales

__all__ = ["Place", "ScrollBatch", "ScrollDataset", "ScrollScales"]
