"""Who sees what: modalities of teacher and student in a step, and which crops are one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpctrain.config.dino import Dino, Masking
from hpctrain.tasks.pairs.networks import MODALITIES
from hpctrain.train.draws import sample_seeds

MASK_STREAM = 8
"""Of hidden patches; each modality has one of its own from here on, behind those of `embed`."""


@dataclass(frozen=True)
class Plan:
    """Of one step."""

    teacher: tuple[str, ...]
    """Modalities whose global crops the teacher sees."""
    student: tuple[str, ...]
    """Modalities whose crops the student sees."""

    def same(self, num_global: int, total: int) -> list[int | None]:
        """For each of the student's crops the teacher's picture that is the same; None: none is.

        Args:
            num_global: crops of a modality that the teacher sees, too.
            total: crops of a modality.
        """
        return [
            self.teacher.index(m) * num_global + v if m in self.teacher and v < num_global else None
            for m in self.student
            for v in range(total)
        ]


def plan_of(settings: Dino, step: int) -> Plan:
    """That of a step of the whole run."""
    rgb, ir = MODALITIES
    if settings.strategy == "alternating":
        one = MODALITIES[step % 2]
        return Plan((one,), (one,))
    if settings.strategy == "joint":
        return Plan(MODALITIES, MODALITIES)
    return Plan((rgb,), (ir,)) if settings.strategy == "rgb_teacher" else Plan((ir,), (rgb,))


def validation_plans(settings: Dino) -> list[Plan]:
    """How the teacher of one modality is compared with the student of the other."""
    rgb, ir = MODALITIES
    both = [Plan((rgb,), (ir,)), Plan((ir,), (rgb,))]
    return [plan_of(settings, 0)] if settings.crosses else both


def draw_masks(
    masking: Masking,
    patches: int,
    crops: int,
    seed: int,
    epoch: int,
    ids: Sequence[int],
    modality: str,
) -> Tensor:
    """(crops * B, patches) bool, crop by crop: patches that the student does not see.

    Args:
        masking: how many.
        patches: of a picture.
        crops: of a sample.
        seed: the run's seed.
        epoch: in which the samples are seen.
        ids: of the samples.
        modality: of the pictures.
    """
    low, high = masking.ratio
    masks = torch.zeros(crops, len(ids), patches, dtype=torch.bool)
    stream = MASK_STREAM + MODALITIES.index(modality)
    for b, own in enumerate(sample_seeds(seed, epoch, ids, stream)):
        source = torch.Generator().manual_seed(own)
        for v in range(crops):
            is_hidden, where = torch.rand(2, generator=source).tolist()
            order = torch.randperm(patches, generator=source)
            if is_hidden < masking.share:
                count = max(1, round((low + (high - low) * where) * patches))
                masks[v, b, order[:count]] = True
    return masks.flatten(0, 1)
