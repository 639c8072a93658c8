"""The block of one optimizer; which options it takes is checked before anything is queued."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    model_validator,
)

from hpctrain.config.schema import Schema


class Optimizer(Schema):
    """One optimizer: LARS, LAMB, a name in torch.optim, or `module.Class` of the user's code."""

    name: str = "Adam"
    """LARS, LAMB, class name in torch.optim, or module.Class."""
    learning_rate: PositiveFloat = 1e-4
    """Rate after warm-up."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates; left out for optimizers that do not take them."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay as the optimizer defines it."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """SGD, LARS and others with momentum; null: the optimizer's own."""
    nesterov: bool = False
    """SGD: look ahead along the momentum, which must be given."""
    eps: PositiveFloat | None = None
    """Adam, LAMB and others: added to the denominator; null: the optimizer's own."""
    trust_coefficient: PositiveFloat | None = None
    """LARS: share of a layer's norm that a step of rate 1 may change; null: 0.001."""
    exclude_1d: bool = False
    """Biases and scales of norms take no weight decay, and in LARS and LAMB a plain step."""
    implementation: Literal["auto", "for_loop", "foreach", "fused"] = "auto"
    """How torch.optim goes over the parameters; auto: as torch chooses, but
    on CPUs fused for Adam, AdamW and Adagrad."""

    @model_validator(mode="after")
    def _takes(self) -> Optimizer:
        takes = _TAKES.get(self.name)
        if takes is not None:
            for option in self.given():
                if option not in takes:
                    known = ", ".join(sorted(takes))
                    raise ValueError(
                        f"{self.name} takes no {option}; remove it; {self.name} takes {known}"
                    )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov has no effect without momentum; give momentum, such as 0.9")
        is_decayed = self.weight_decay > 0 or self.name in ("LARS", "LAMB")
        if self.exclude_1d and not is_decayed:
            raise ValueError("exclude_1d has no effect without weight_decay; give one")
        return self

    def given(self) -> set[str]:
        """Options that differ from their defaults, and so must have an effect."""
        fields = type(self).model_fields
        return {name for name in _OPTIONS if getattr(self, name) != fields[name].default}


_OPTIONS = (
    *("betas", "weight_decay", "momentum", "nesterov", "eps", "trust_coefficient"),
    *("exclude_1d", "implementation"),
)
_ADAM = {"betas", "weight_decay", "eps", "exclude_1d", "implementation"}
_TAKES = {
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "NAdam": _ADAM,
    "RAdam": _ADAM,
    "Adamax": _ADAM,
    "SGD": {"weight_decay", "momentum", "nesterov", "exclude_1d", "implementation"},
    "RMSprop": {"weight_decay", "momentum", "eps", "exclude_1d", "implementation"},
    "LARS": {"weight_decay", "momentum", "trust_coefficient", "exclude_1d"},
    "LAMB": {"betas", "weight_decay", "eps", "exclude_1d"},
}
"""Of the others the trainer asks the class itself."""
