"""How the gradients of the ranks become one."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from hpctrain.config.schema import Schema


class Reduction(Schema):
    """How gradients are joined over ranks, and in which form they travel."""

    op: Literal["mean", "adasum"] = "mean"
    """mean over samples; adasum, of Horovod: adds what is orthogonal, averages what is parallel."""
    compression: Literal["none", "float16", "bfloat16"] = "none"
    """Type in which gradients travel; sums are rounded to it. Beyond float16's 65504 they become
    infinite on all ranks, as if the loss were; bfloat16 has float32's range."""
    bucket_mb: PositiveFloat = 25.0
    """Gradients are sent in buckets of about so many MB, each as soon as it is complete."""
