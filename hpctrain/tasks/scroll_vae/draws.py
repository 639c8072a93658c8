"""Normal numbers for the samples of a batch, wherever these are computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hpctrain.train.draws import sample_seeds

NOISE_STREAM = 1
VALIDATION_STREAM = 2


def normal_rows(
    size: int, seed: int, epoch: int, ids: Sequence[int], stream: int, device: torch.device
) -> Tensor:
    """(B, size) normal numbers, each row from its sample's own stream, drawn on the CPU.

    Args:
        size: numbers a sample.
        seed: the run's seed.
        epoch: in which the samples are seen.
        ids: of the samples.
        stream: tells draws for different purposes apart.
        device: where they are needed.
    """
    rows = torch.empty(len(ids), size, pin_memory=device.type == "cuda")
    for own, row in zip(sample_seeds(seed, epoch, ids, stream), rows, strict=True):
        row.normal_(generator=torch.Generator().manual_seed(own))
    return rows.to(device, non_blocking=True)
