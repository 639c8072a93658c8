"""The `data.order:` block: in which order a training goes through its samples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from hpctrain.config.schema import Schema


class Order(Schema):
    """Order of the samples: a function of these settings, the seed and the epoch alone."""

    kind: Literal["global", "divided"] = "global"
    """global: any sample may follow any other; divided: files are dealt to parts, each batch takes
    as many samples from every part, and few files of a part are in use at a time."""
    parts: PositiveInt | None = None
    """divided: number of parts, a divisor of the batch; null: one a rank, written into config.yaml
    when the job is rendered, so that a resume on other ranks keeps it."""
    shuffle_distance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """divided: how many files' worth of samples a sample may be moved at most; 0: samples of a
    file follow one another as they lie in it."""
    deal: Literal["fixed", "each_epoch"] = "fixed"
    """divided: whether a part keeps its files for the whole run, so that they can stay in memory
    or on the node, or files are dealt anew in each epoch."""

    @model_validator(mode="after")
    def _no_effect(self) -> Order:
        own = {name: getattr(self, name) for name in ("parts", "shuffle_distance", "deal")}
        unused = [name for name, value in own.items() if value != _DEFAULTS[name]]
        if self.kind == "global" and unused:
            raise ValueError(
                f"{', '.join(unused)} would have no effect with kind: global; give kind: divided, "
                "or leave it out"
            )
        return self


_DEFAULTS = {name: field.default for name, field in Order.model_fields.items()}
