"""Networks of a job's `dino` block: student, teacher, heads, what else is learned or kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hpctrain.config.dino import Dino
from hpctrain.models.heads import DinoHead
from hpctrain.tasks.pairs.networks import Origin, Size, make_backbones

TEACHER, STUDENT = "teacher", "student"


class Centre(nn.Module):
    """Running means of the teacher's logits, of pictures and of patches.

    Args:
        ends: of the names of the heads, each of which has its own.
        prototypes: of a head.
        has_patches: keep those of patches, too.
    """

    def __init__(self, ends: list[str], prototypes: int, *, has_patches: bool) -> None:
        super().__init__()
        for end in ends:
            for kind in ("classes", "patches")[: 1 + has_patches]:
                self.register_buffer(f"{kind}{end}", torch.zeros(prototypes))

    def of(self, kind: str, end: str) -> Tensor:
        """(K,) of classes or patches."""
        return self.get_buffer(f"{kind}{end}")


class MaskToken(nn.Module):
    """What the student sees in place of a hidden patch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(dim))


def make_networks(
    settings: Dino,
    channels: Mapping[str, int],
    sizes: Mapping[str, Size],
    origin: Origin | None = None,
) -> dict[str, nn.Module]:
    """All networks by name; the teacher begins as the student. See `make_backbones`."""
    backbones = make_backbones(settings, channels, sizes, origin)
    head, made = settings.head, {}
    for end, net in backbones.items():
        dim = int(net.dim)  # type: ignore[arg-type]
        made[f"{STUDENT}{end}"] = net
        made[f"{STUDENT}_head{end}"] = DinoHead(
            dim,
            head.prototypes,
            head.hidden,
            head.bottleneck,
            head.layers,
            is_gain_fixed=head.is_gain_fixed,
        )
        if settings.masking:
            made[f"{STUDENT}_mask{end}"] = MaskToken(dim)
    for name in teacher_names(list(backbones)):
        made[name] = copy.deepcopy(made[student_of(name)]).requires_grad_(False)
    if settings.centring.kind == "centre":
        has_patches = settings.masking is not None
        made["centre"] = Centre(list(backbones), head.prototypes, has_patches=has_patches)
    return made


def teacher_names(ends: list[str]) -> list[str]:
    """Networks of the teacher, each of which follows one of the student."""
    return [f"{TEACHER}{role}{end}" for role in ("", "_head") for end in ends]


def student_of(name: str) -> str:
    """The student's network that a teacher's follows."""
    return STUDENT + name.removeprefix(TEACHER)


@torch.no_grad()
def follow(models: Mapping[str, nn.Module], ends: list[str], momentum: float) -> None:
    """Draw the teacher towards the student: t <- m t + (1 - m) s; all ranks compute the same."""
    for name in teacher_names(ends):
        own = [p.detach() for p in models[name].parameters()]
        others = [p.detach() for p in models[student_of(name)].parameters()]
        torch._foreach_lerp_(own, others, 1 - momentum)
