"""Pairs of pictures for the trainer: decoded once, cropped alike, changed each in its own way."""

from hpctrain.data.pairs.batch import PairBatch as PairBatch
from hpctrain.data.pairs.dataset import PairDataset as PairDataset
from hpctrain.data.pairs.scales import PairScales as PairScales

__all__ = ["PairBatch", "PairDataset", "PairScales"]
