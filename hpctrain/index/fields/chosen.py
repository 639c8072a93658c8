"""Rows of an index that somebody built, for a training on fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.leaks import check_leaks
from hpctrain.index.store import load_index
from hpctrain.index.table import FIELDS, Columns, Row

if TYPE_CHECKING:
    from hpctrain.config.data import Fields


def rows_of_index(fields: Fields, cwd: Path) -> list[Row]:
    """Rows of `data.index`, with the columns of a fields index and its own free ones.

    Args:
        fields: a `data:` block with an index.
        cwd: folder that a relative path starts from.

    Raises:
        DataError: it cannot be read, has other modalities, has nothing for one of the splits, or
            has content in two of them.
    """
    where = f"data.index: {fields.index}"
    table = load_index(cwd / Path(str(fields.index)).expanduser())
    modalities = table.columns.modalities
    if "target" not in modalities or set(modalities) - set(FIELDS.modalities):
        raise DataError(
            f"{where}: has the modalities {', '.join(modalities)}; allowed: target, or target and "
            "input; build it with --modality target=... and --modality input=..."
        )
    try:
        check_leaks(table)
    except DataError as e:
        raise DataError(f"{where}: {e}") from e
    columns = Columns(FIELDS.modalities, table.columns.free)
    rows = [
        Row.make(columns, **dict(zip(row.columns.names, row.cells, strict=True)))
        for row in table.rows
    ]
    for split in ("train", "validation"):
        if not any(row.split == split and row.status == "ok" for row in rows):
            raise DataError(
                f"{where}: no usable sample is in the split {split}; divide it with: hpctrain "
                f"index split {fields.index} --by COLUMN --validation 20%"
            )
    has_inputs = {bool(row.inputs) for row in rows if row.status == "ok" and row.split}
    if len(has_inputs) > 1:
        raise DataError(f"{where}: some samples have an input and others not; make them alike")
    return rows
