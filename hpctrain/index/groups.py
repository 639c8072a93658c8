"""Names of groups: a column, a part of the time, a part of the id, or a region of a volume."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hpctrain.errors import DataError
from hpctrain.index.table import Columns, Row
from hpctrain.index.windows.place import AXES

TIMES = {"year": 4, "month": 7, "day": 10, "hour": 13}
"""Parts of a time stamp by the length of its text."""
Grouping = Callable[[Row], str | None]
"""Name of a row's group; None: it belongs to none, and gets no split."""
_AXIS = re.compile(r"([a-z][a-z0-9_]*)=(\d+)(?:/(\d+))?")


def group_maker(by: Sequence[str], columns: Columns) -> Grouping:
    """What names the group of a row.

    Args:
        by: each of: a column; year, month, day or hour; id:REGEX (first group, else all);
            region:Y=SIZE/WINDOW,... (Y and so on are columns with the first cell of a window of
            WINDOW cells; a window that crosses the border of a region belongs to none; without
            /WINDOW it is as large as the row's own, see `hpctrain.index.windows`, or one cell).
        columns: of the index.

    Raises:
        DataError: none of these.
    """
    parts = [_one(name, columns) for name in by]
    if len(parts) == 1:
        return parts[0]

    def group(row: Row) -> str | None:
        names = [part(row) for part in parts]
        return None if None in names else "/".join(str(name) for name in names)

    return group


def _one(name: str, columns: Columns) -> Grouping:
    kind, _, text = name.partition(":")
    if name in columns.places:
        place = columns.places[name]
        return lambda row: row.cells[place]
    if name in TIMES:
        length, place = TIMES[name], columns.places["timestamp"]
        return lambda row: row.cells[place][:length]
    if kind == "id" and text:
        return _by_id(text)
    if kind == "region" and text:
        return _region(text, columns)
    raise DataError(
        f"--by: found {name!r}; allowed: {', '.join(TIMES)}, id:REGEX, region:COLUMN=CELLS,..., or "
        f"a column: {', '.join(columns.names)}"
    )


def _by_id(text: str) -> Grouping:
    try:
        regex = re.compile(text)
    except re.error as e:
        raise DataError(f"--by id: {text!r} is no regular expression: {e}") from e

    def group(row: Row) -> str:
        match = regex.search(row.id)
        if match is None:
            raise DataError(f"--by id: {text!r} does not fit the id {row.id!r}")
        return str(match[1] if regex.groups else match[0])

    return group


def _region(text: str, columns: Columns) -> Grouping:
    axes = []
    for part in text.split(","):
        match = _AXIS.fullmatch(part)
        if match is None or match[1] not in columns.places or int(match[2]) == 0:
            raise DataError(
                f"--by region: found {part!r}; allowed: COLUMN=CELLS or COLUMN=CELLS/WINDOW, with "
                f"a column of the first cell: {', '.join(columns.free) or 'this index has none'}"
            )
        own = columns.places.get(AXES.get(match[1], ""))
        is_given = match[3] is not None or own is None
        window = (None, int(match[3] or 1)) if is_given else (own, 0)
        axes.append((columns.places[match[1]], int(match[2]), *window))

    def group(row: Row) -> str | None:
        names = []
        for place, size, own, given in axes:
            first = _whole(row, place)
            window = given if own is None else _whole(row, own)
            if first // size != (first + window - 1) // size:
                return None
            names.append(str(first // size))
        return "/".join(names)

    return group


def _whole(row: Row, place: int) -> int:
    try:
        return int(row.cells[place])
    except ValueError as e:
        name = row.columns.names[place]
        raise DataError(
            f"--by region: {row.id}: {name} is {row.cells[place]!r}, no whole number"
        ) from e
