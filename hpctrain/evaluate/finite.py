"""Fields that cannot be measured, as some of their numbers are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SOURCES = (
    "look whether the input lies far outside of what was trained on, and at the training's losses"
)


class NotFiniteError(Exception):
    """A field cannot be measured."""


def check_finite(
    field: NDArray[Any], variables: Sequence[str], maker: str, advice: str = _SOURCES
) -> None:
    """Refuse a field in which a number is infinite or no number.

    Args:
        field: (C, ...).
        variables: C names.
        maker: where it is from, and a verb.
        advice: what to do.

    Raises:
        NotFiniteError: names the variables.
    """
    bad = [v for v, channel in zip(variables, field, strict=True) if not np.isfinite(channel).all()]
    if bad:
        raise NotFiniteError(f"{maker} values of {', '.join(bad)} that are not finite; {advice}")


def each_finite(
    fields: Iterable[NDArray[Any]], variables: Sequence[str], maker: str
) -> Iterator[NDArray[Any]]:
    """The fields one by one; see `check_finite`."""
    for field in fields:
        check_finite(field, variables, maker)
        yield field
