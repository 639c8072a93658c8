"""The teacher's answers: logits of its crops, centred or balanced over the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator
from hpctrain.config.dino import Dino
from hpctrain.data.pairs import PairBatch
from hpctrain.losses.dino import centred, sinkhorn_knopp
from hpctrain.models.vit import VisionTransformer
from hpctrain.tasks.dino.networks import Centre
from hpctrain.tasks.dino.plan import Plan, draw_masks

Models = Mapping[str, nn.Module]


@dataclass
class Answers:
    """Of one micro-batch; logits first, then probabilities."""

    classes: dict[str, Tensor] = field(default_factory=dict)
    """(G, B, K) of each modality that the teacher sees."""
    patches: dict[str, Tensor] = field(default_factory=dict)
    """(M, K) of the hidden patches."""
    masks: dict[str, Tensor] = field(default_factory=dict)
    """(G * B, N) bool, where they are hidden."""
    is_filler: bool = False

    def pictures(self, plan: Plan) -> list[Tensor]:
        """(B, K) of each picture, in the plan's order."""
        return [picture for m in plan.teacher for picture in self.classes[m]]


class Teacher:
    """Asks the teacher, and keeps its centre.

    Args:
        settings: the `train:` block.
        ends: of the names of a modality's networks.
    """

    def __init__(self, settings: Dino, ends: Mapping[str, str]) -> None:
        self.settings, self.ends = settings, ends

    @torch.no_grad()
    def ask(self, models: Models, parts: Sequence[PairBatch], plan: Plan) -> list[Answers]:
        """Logits of the global crops of each micro-batch."""
        return [self._ask(models, part, plan) for part in parts]

    @torch.no_grad()
    def decide(
        self, models: Models, answers: Sequence[Answers], temperature: float, comm: Communicator
    ) -> Callable[[], None]:
        """Turn logits into probabilities, in place; all ranks must call.

        Returns:
            A function that moves the centre on, once the step is made; nothing where there is none.
        """
        if "centre" not in models:
            for kind in ("classes", "patches"):
                for m in sorted({m for a in answers for m in getattr(a, kind)}):
                    self._balance(answers, kind, m, temperature, comm)
            return lambda: None
        centre = models["centre"]
        assert isinstance(centre, Centre)
        means = self._means(answers, comm)
        for own in answers:
            for kind in ("classes", "patches"):
                found = getattr(own, kind)
                for m, logits in found.items():
                    found[m] = centred(logits, centre.of(kind, self.ends[m]), temperature)
        share = 1 - self.settings.centring.momentum

        def move() -> None:
            for (kind, end), mean in means.items():
                centre.of(kind, end).lerp_(mean.float(), share)

        return move

    def _ask(self, models: Models, part: PairBatch, plan: Plan) -> Answers:
        found = Answers(is_filler=part.num_samples == 0)
        for m in plan.teacher:
            end, count = self.ends[m], part.num_global_crops
            backbone, head = models[f"teacher{end}"], models[f"teacher_head{end}"]
            crops = torch.cat(part.crops[m][:count])
            if self.settings.masking is None or not isinstance(backbone, VisionTransformer):
                found.classes[m] = head(backbone(crops)).view(count, len(part.ids), -1)
                continue
            tokens = backbone.tokens(crops)
            masks = draw_masks(
                self.settings.masking,
                tokens.shape[1] - 1,
                count,
                self.settings.seed,
                part.epoch,
                part.ids,
                m,
            ).to(crops.device)
            found.masks[m] = masks
            found.classes[m] = head(tokens[:, 0]).view(count, len(part.ids), -1)
            found.patches[m] = head(tokens[:, 1:][masks])
        return found

    def _means(
        self, answers: Sequence[Answers], comm: Communicator
    ) -> dict[tuple[str, str], Tensor]:
        """Of the logits of the whole batch, by kind and end; in one message."""
        keys = [(kind, m) for kind in ("classes", "patches") for m in getattr(answers[0], kind)]
        places = list(dict.fromkeys((kind, self.ends[m]) for kind, m in keys))
        width = self.settings.head.prototypes
        device = next(iter(answers[0].classes.values())).device
        sums = torch.zeros(len(places), width + 1, dtype=torch.float64, device=device)
        for own in answers:
            for kind, m in keys if not own.is_filler else ():
                rows = getattr(own, kind)[m].reshape(-1, width)
                into = sums[places.index((kind, self.ends[m]))]
                into[:-1] += rows.sum(0, dtype=torch.float64)
                into[-1] += len(rows)
        comm.allreduce(sums, "dino.centre", "sum")
        return {
            place: row[:-1] / row[-1].clamp(min=1) for place, row in zip(places, sums, strict=True)
        }

    def _balance(
        self,
        answers: Sequence[Answers],
        kind: str,
        m: str,
        temperature: float,
        comm: Communicator,
    ) -> None:
        """Sinkhorn-Knopp over the answers of all micro-batches and ranks."""
        found = [getattr(a, kind)[m] for a in answers]
        counted = [x[..., :0, :] if a.is_filler else x for a, x in zip(answers, found, strict=True)]
        width = found[0].shape[-1]
        rows = torch.cat([x.reshape(-1, width) for x in counted])

        def join(tensor: Tensor, op: str) -> Tensor:
            return comm.allreduce(tensor, f"dino.{kind}.{m}.{op}", op)  # type: ignore[arg-type]

        balanced = sinkhorn_knopp(rows, temperature, join, self.settings.centring.iterations)
        pieces = torch.split(balanced, [x.numel() // width for x in counted])
        for own, logits, piece in zip(answers, found, pieces, strict=True):
            is_filler = own.is_filler
            getattr(own, kind)[m] = torch.zeros_like(logits) if is_filler else piece.view_as(logits)
