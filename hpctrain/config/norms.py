"""Normalisations by name: a function with an exact inverse, and a measured scale behind it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from hpctrain.config.schema import Schema
from hpctrain.config.words import nearest

OPTIONS: dict[str, dict[str, float | None]] = {
    "none": {},
    "exp": {},
    "log": {},
    "log1p": {},
    "expm1": {},
    "ratio": {"a": 4.0},
    "standard": {"mean": None, "deviation": None},
    "minmax": {"low": None, "high": None},
    "cosmology.dis": {"redshift": 0.0, "omega_m": 0.31, "deviation": 6.0},
    "cosmology.vel": {"redshift": 0.0, "omega_m": 0.31, "deviation": 6.0},
}
"""Options of each with their defaults; None: must be given."""


class Normalization(Schema):
    """How one field (one pattern of files) becomes numbers of order 1."""

    kind: str
    """none, exp, log, log1p, expm1, ratio (2x/(x+a) - 1), standard, minmax, cosmology.dis,
    cosmology.vel, or module.Class of the user's code."""
    options: dict[str, Any] = {}
    """Arguments, such as `{a: 4}` or `{redshift: 2}`; those left out have defaults."""
    then: Literal["standard", "minmax", "none"] = "none"
    """A scale measured on training files, behind the function."""

    @model_validator(mode="after")
    def _known(self) -> Normalization:
        known = OPTIONS.get(self.kind)
        if known is None:
            if "." in self.kind and not self.kind.startswith("cosmology."):
                return self
            raise ValueError(
                f"kind: unknown {self.kind!r}; choose from {', '.join(OPTIONS)}, or module.Class "
                f"of your own code{nearest(self.kind, OPTIONS)}"
            )
        for name, value in self.options.items():
            if name not in known:
                choices = f"it takes {', '.join(known)}" if known else "it takes none"
                raise ValueError(f"options: {self.kind} takes no {name!r}; {choices}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"options.{name}: found {value!r}; allowed: a number")
        missing = [n for n, v in known.items() if v is None and n not in self.options]
        if missing:
            raise ValueError(f"options: {self.kind} needs {' and '.join(missing)}; add it")
        return self
