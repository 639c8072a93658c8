"""Which files are trained on, which are validated on, and which are left out."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.match import Key, check_twins, match_groups
from hpctrain.index.table import SEPARATOR, Row

if TYPE_CHECKING:
    from hpctrain.config.data import Fields

SHOWN = 5
Pairs = dict[Key, tuple[tuple[str, ...], tuple[str, ...]]]


def split_rows(fields: Fields, root: Path) -> list[Row]:
    """Rows with their files, split and status, without sizes and digests.

    Args:
        fields: the `data:` block.
        root: folder of the data.

    Raises:
        DataError: files without a twin, or a split that is empty or overlaps.
    """
    pairs = _pairs(root, "data.", fields.targets, fields.inputs)
    chosen = _chosen(fields, len(pairs))
    held = chosen[len(chosen) - fields.validation_steps :]
    rows = []
    for number, (targets, inputs) in enumerate(pairs.values()):
        if number in chosen:
            split = "validation" if number in held else "train"
            rows.append(_row(targets, inputs, split))
        else:
            rows.append(_row(targets, inputs, "", "left_out", "outside data.steps"))
    validation = _validation_rows(fields, root, rows)
    # A file outside of `steps` that is named for validation keeps one row: that which uses it.
    named = {row["target"] for row in validation}
    return [row for row in rows if row["target"] not in named] + validation


def _chosen(fields: Fields, num_files: int) -> range:
    """Numbers of the files that `steps` chooses; at least one more than are validated on."""
    steps = fields.steps
    chosen = range(num_files)[steps.start : steps.stop : steps.stride]
    if not chosen:
        raise DataError(f"data.steps: leaves none of the {num_files} files; widen start and stop")
    most = len(chosen) - 1
    if fields.validation_steps > most:
        raise DataError(
            f"data.validation_steps: {fields.validation_steps} of {len(chosen)} files leaves none "
            f"to train on; give more files{f', or at most {most}' if most else ''}"
        )
    return chosen


def _validation_rows(fields: Fields, root: Path, rows: list[Row]) -> list[Row]:
    if not fields.validation_targets:
        if not fields.validation_steps:
            raise DataError(
                "data.validation_steps: no file is left to validate on; give validation_steps (the "
                "last files), or validation_targets"
            )
        return []
    pairs = _pairs(root, "data.validation_", fields.validation_targets, fields.validation_inputs)
    trained = {path for row in rows if row.split == "train" for path in row.targets}
    both = sorted(trained & {path for targets, _ in pairs.values() for path in targets})
    if both:
        more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
        raise DataError(
            f"data.validation_targets: trained on as well: {', '.join(both[:SHOWN])}{more}; let "
            "data.targets match other files, or use data.validation_steps"
        )
    return [_row(targets, inputs, "validation") for targets, inputs in pairs.values()]


def _pairs(root: Path, prefix: str, targets: list[str], inputs: list[str]) -> Pairs:
    fine = match_groups(root, targets, f"{prefix}targets")
    if not inputs:
        return {key: (paths, ()) for key, paths in fine.items()}
    coarse = match_groups(root, inputs, f"{prefix}inputs")
    check_twins(f"{prefix}targets", fine, f"{prefix}inputs", coarse)
    return {key: (paths, coarse[key]) for key, paths in fine.items()}


def _row(
    targets: tuple[str, ...],
    inputs: tuple[str, ...],
    split: str,
    status: str = "ok",
    reason: str = "",
) -> Row:
    name = str(PurePosixPath(targets[0]).with_suffix(""))
    return Row.make(
        id=name,
        split=split,
        status=status,
        reason=reason,
        target=SEPARATOR.join(targets),
        input=SEPARATOR.join(inputs),
    )
