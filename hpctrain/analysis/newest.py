"""Stamps of what is made from a run's newest checkpoint, or from a product of some checkpoint."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hpctrain.errors import HpctrainError
from hpctrain.provenance import Stamp, stamp_run
from hpctrain.provenance.files import read, read_stamp


def stamp_of_newest(run_dir: Path, product: str) -> Stamp:
    """The run's stamp with the newest checkpoint's facts, if that has a stamp itself."""
    stamp, latest = stamp_run(run_dir, product), run_dir / "checkpoints" / "latest"
    with suppress(HpctrainError):
        newest = read_stamp(latest)
        return replace(
            stamp,
            checkpoint=latest.resolve().name,
            checkpoint_digest=newest.content_digest,
            epoch=newest.epoch,
            global_step=newest.global_step,
        )
    return stamp


def stamp_like(source: Path, run_dir: Path, product: str) -> Stamp:
    """The run's stamp with the checkpoint that another product is of, if that says so."""
    stamp = stamp_run(run_dir, product)
    with suppress(HpctrainError):
        found = read(source).stamp
        return replace(
            stamp,
            checkpoint=found.checkpoint,
            checkpoint_digest=found.checkpoint_digest,
            epoch=found.epoch,
            global_step=found.global_step,
        )
    return stamp
