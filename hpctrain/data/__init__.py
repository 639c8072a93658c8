"""Field data for the trainer: samples, scales, the order of samples, batches read ahead."""

from hpctrain.data.batch import FieldBatch as FieldBatch
from hpctrain.data.crops import CropDataset as CropDataset
from hpctrain.data.dataset import FieldDataset as FieldDataset
from hpctrain.data.divided import DividedSampler as DividedSampler
from hpctrain.data.loader import BatchLoader as BatchLoader
from hpctrain.data.sampler import GlobalSampler as GlobalSampler
from hpctrain.data.sampler import SequentialSampler as SequentialSampler
from hpctrain.data.scales import Scales as Scales

__all__ = [
    "BatchLoader",
    "CropDataset",
    "DividedSampler",
    "FieldBatch",
    "FieldDataset",
    "GlobalSampler",
    "Scales",
    "SequentialSampler",
]
