"""The block `train.ema`: a moving average of weights."""

from __future__ import annotations

from pydantic import Field

from hpctrain.config.schema import Schema


class Ema(Schema):
    """Exponential moving average of the weights, kept beside them."""

    models: list[str] = Field(min_length=1)
    """Networks that are averaged, by name, such as [generator]."""
    decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Share of the average that a step keeps."""
    warmup: bool = True
    """In the first steps keep less: (1 + n) / (10 + n) after n of them, until decay is reached."""
    validate_with: bool = True
    """Validate and draw figures with the averaged weights; the training goes on with its own."""
