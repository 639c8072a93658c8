"""Many runs from one job file: which values vary, and how the runs share the queue."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from hpctrain.config.schema import Schema
from hpctrain.config.words import Line


def _key(value: str) -> str:
    parts = value.split(".")
    own = ("name", "site", "sweep", "version")
    if not all(parts) or parts[0] in own or len(parts) < 2:
        raise ValueError(
            f"found {value!r}; allowed: the path of a value, such as train.optimizer.learning_rate"
        )
    return value


ParameterKey = Annotated[Line, AfterValidator(_key)]
"""Path of a value in the job file, such as train.epochs."""

Scalar = bool | int | float | str | None
"""What a parameter may be set to."""


class Range(Schema):
    """A parameter drawn at random."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    scale: Literal["linear", "log", "integer"] = "linear"
    """linear: uniform; log: uniform in the logarithm; integer: whole numbers, both ends too."""

    @model_validator(mode="after")
    def _is_ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm; allowed: more than 0")
        if self.scale == "integer" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low {self.low} and high {self.high} must be whole numbers")
        return self


class Random(Schema):
    """Points drawn at random, the same ones for the same seed."""

    parameters: dict[ParameterKey, Range] = Field(min_length=1)
    """Path of each value and where it is drawn from."""
    num_points: PositiveInt
    """How many points."""
    seed: int = Field(default=0, ge=0)
    """Seed of the draws."""


class Sweep(Schema):
    """One run for each point; grid, points and random are combined with each other."""

    grid: dict[ParameterKey, Annotated[list[Scalar], Field(min_length=1)]] = {}
    """Values of each parameter; all combinations are taken."""
    points: list[dict[ParameterKey, Scalar]] = []
    """Points one by one."""
    random: Random | None = None
    """Points at random."""
    how: Literal["auto", "array", "throttled", "ensemble"] = "auto"
    """array: one job array; throttled: single jobs, each behind an earlier one; ensemble: one job
    that shares its nodes among the points; auto: what the queue allows."""
    max_running: PositiveInt | None = None
    """Most points at a time; null: as many as the queue lets run."""

    @property
    def keys(self) -> list[str]:
        """Every parameter, in the order of the columns of sweep.csv."""
        listed = (key for point in self.points for key in point)
        drawn = self.random.parameters if self.random else ()
        return list(dict.fromkeys([*self.grid, *listed, *drawn]))

    @model_validator(mode="after")
    def _has_points(self) -> Sweep:
        if not (self.grid or any(self.points) or self.random):
            raise ValueError("names no parameter; give grid, points or random")
        blocks = {
            "grid": set(self.grid),
            "points": {key for point in self.points for key in point},
            "random": set(self.random.parameters) if self.random else set(),
        }
        for one, other in combinations(blocks, 2):
            for key in sorted(blocks[one] & blocks[other]):
                raise ValueError(f"{key} is in both {one} and {other}; keep one of them")
        return self
