"""What every `data:` block has, whatever it reads: root, checks, threads, copies on the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, NonNegativeInt, PositiveInt, model_validator

from hpctrain.config.schema import Schema
from hpctrain.config.words import Line


def _count(lowest: int) -> Callable[[Any], Any]:
    """Check a whole number or `auto`; pydantic would give one error for each of the two."""

    def check(value: Any) -> Any:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value != "auto" and not (is_number and value >= lowest):
            raise ValueError(f"found {value!r}; allowed: auto, or a whole number from {lowest} on")
        return value

    return check


class DataBlock(Schema):
    """Keys that all kinds of data share."""

    kind: str
    root: str = "."
    """Folder that all patterns are relative to; itself relative to where `render` is called."""
    verify: Literal["stat", "digests"] = "stat"
    """At the start compare sizes and times of the files with the index; digests: read them all."""
    workers: Annotated[NonNegativeInt | Literal["auto"], BeforeValidator(_count(0))] = "auto"
    """Threads of each rank that read samples ahead of the training; 0: the loop itself reads;
    auto: chosen by a measurement of less than a second at the start."""
    prefetch_batches: Annotated[PositiveInt | Literal["auto"], BeforeValidator(_count(1))] = "auto"
    """How many batches are read ahead; auto: as many as bridge the slowest samples."""
    stage: Literal["none", "node_local"] = "none"
    """node_local: before the training each node copies the files that its ranks read to a disk of
    its own, and they are read there; where that cannot be done, they are read in place."""
    stage_dir: Line | None = None
    """Folder on the node's disk for these copies; variables such as $TMPDIR are expanded on the
    node; null: the site's `scratch`."""

    @model_validator(mode="after")
    def _stage_dir_alone(self) -> DataBlock:
        if self.stage_dir is not None and self.stage == "none":
            raise ValueError("stage_dir would have no effect; give stage: node_local, too")
        return self

    @model_validator(mode="after")
    def _nothing_ahead(self) -> DataBlock:
        if self.workers == 0 and self.prefetch_batches != "auto":
            raise ValueError(
                f"prefetch_batches is {self.prefetch_batches}, but with workers: 0 nothing is read "
                "ahead; leave it out, or give at least one worker"
            )
        return self
