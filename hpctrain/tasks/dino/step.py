"""The student's side of a step: its logits, and the parts of its loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hpctrain.config.dino import Dino
from hpctrain.data.pairs import PairBatch
from hpctrain.losses.dino import dino_loss, entropy
from hpctrain.losses.ibot import ibot_loss
from hpctrain.losses.koleo import koleo
from hpctrain.losses.wide import wide
from hpctrain.models.vit import VisionTransformer
from hpctrain.tasks.dino.networks import MaskToken
from hpctrain.tasks.dino.plan import Plan
from hpctrain.tasks.dino.teacher import Answers
from hpctrain.tasks.pairs.networks import MODALITIES, embed, left_out
from hpctrain.train.update import Update


class Student:
    """Computes the loss of a micro-batch.

    Args:
        settings: the `train:` block.
        ends: of the names of a modality's networks.
        models: all networks by name.
    """

    def __init__(
        self, settings: Dino, ends: Mapping[str, str], models: Mapping[str, nn.Module]
    ) -> None:
        self.settings, self.ends, self.models = settings, ends, models

    def losses(
        self, part: PairBatch, answers: Answers, plan: Plan, update: Update
    ) -> dict[str, Tensor]:
        """The weighted sum and its parts, with the entropy of the teacher's answers."""
        classes: dict[str, list[Tensor]] = {}
        hidden: dict[str, list[Tensor]] = {}
        spread = []
        for m in plan.student:
            end = self.ends[m]
            for crops, first in self._sizes(part, m):
                masks = answers.masks.get(m) if first == 0 else None
                x, patches = self._embedded(part, m, torch.cat(crops), first, masks)
                classes.setdefault(end, []).append(x)
                if masks is not None:
                    hidden.setdefault(end, []).append(patches[masks])
                if self.settings.koleo_weight and first == 0:
                    for v, rows in enumerate(wide(x).chunk(len(crops))):
                        spread.append(koleo(update.gather(f"koleo.{m}.{v}", rows, part)))
        groups, guesses = self._asked(classes, hidden)
        groups = [x.view(-1, len(part.ids), x.shape[-1]) for x in groups]
        masked = [
            ibot_loss(x, answers.patches[m], answers.masks[m], self.settings.student_temperature)
            for x, m in zip(guesses, [m for m in plan.student if m in answers.masks], strict=True)
        ]
        total = len(part.crops[plan.student[0]])
        same = plan.same(part.num_global_crops, total)
        pictures = answers.pictures(plan)
        found = {
            "cross_entropy": dino_loss(groups, pictures, same, self.settings.student_temperature)
        }
        loss = found["cross_entropy"]
        if spread:
            found["koleo"] = torch.stack(spread).mean()
            loss = loss + self.settings.koleo_weight * found["koleo"]
        if masked and self.settings.masking:
            found["masked"] = torch.stack(masked).mean()
            loss = loss + self.settings.masking.weight * found["masked"]
        found["teacher_entropy"] = torch.stack([entropy(p).mean() for p in pictures]).mean()
        return {"loss": loss, **found}

    def logits(self, part: PairBatch, modality: str) -> Tensor:
        """(B, K) of the first crop."""
        x, _ = self._embedded(part, modality, part.crops[modality][0], 0, None)
        found: Tensor = self._head(modality)(x)
        return found

    def _sizes(self, part: PairBatch, m: str) -> list[tuple[tuple[Tensor, ...], int]]:
        """Crops of one size each, with the number of the first."""
        count, crops = part.num_global_crops, part.crops[m]
        return [(own, at) for own, at in ((crops[:count], 0), (crops[count:], count)) if own]

    def _asked(
        self, classes: Mapping[str, list[Tensor]], hidden: Mapping[str, list[Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of class tokens, a tensor of each head, and of the hidden patches one by one.

        Each head is asked once: its prototypes are many and brought to their length each time.
        """
        groups, guesses = [], []
        for end, rows in classes.items():
            others = hidden.get(end, [])
            logits: Tensor = self.models[f"student_head{end}"](torch.cat([*rows, *others]))
            if others:
                logits, *own = torch.split(logits, [sum(map(len, rows)), *map(len, others)])
                guesses += own
            groups.append(logits)
        return groups, guesses

    def _head(self, m: str) -> nn.Module:
        return self.models[f"student_head{self.ends[m]}"]

    def _embedded(
        self, part: PairBatch, m: str, crops: Tensor, first: int, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(B', dim), and (B', N, dim) of patches where some are hidden."""
        end, seed = self.ends[m], self.settings.seed
        backbone = self.models[f"student{end}"]
        number = 2 * MODALITIES.index(m) + (first > 0)
        if masks is None:
            x = embed(backbone, crops, seed, part.epoch, part.ids, number)
            return x, x
        assert isinstance(backbone, VisionTransformer)
        mask = self.models[f"student_mask{end}"]
        assert isinstance(mask, MaskToken)
        own = seed, part.epoch, part.ids, number, len(crops), crops.device
        tokens = backbone.tokens(crops, masks, mask.token, left_out(backbone, *own))
        return tokens[:, 0], tokens[:, 1:]
